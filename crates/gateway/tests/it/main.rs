//! The gateway from outside: the contract of a backend, the local backend's own promises, and the server over HTTP.

mod support;
