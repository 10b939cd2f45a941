//! The client against a server of raw bytes.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod earlier;
#[cfg(test)]
mod fuse;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tokens;
