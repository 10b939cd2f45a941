//! One signed SNAP call in, one reply out; token cache, limits and deadlines.
