//! The HTTP trigger (`docs/contract/http-trigger.md`): sockets, routes, request to response.
