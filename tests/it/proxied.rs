//! Proxies in front.
