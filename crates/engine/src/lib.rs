//! What to do next about a top-up, and what is known of it. Pure.
