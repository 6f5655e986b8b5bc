// A wasi:http/incoming-handler guest in C: says hello to everything.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest.h"

static void reply(exports_wasi_http_incoming_handler_own_response_outparam_t out, uint16_t status, const char *text) {
  wasi_http_types_own_fields_t headers = wasi_http_types_constructor_fields();
  wasi_http_types_own_outgoing_response_t resp = wasi_http_types_constructor_outgoing_response(headers);
  wasi_http_types_method_outgoing_response_set_status_code(wasi_http_types_borrow_outgoing_response(resp), status);
  wasi_http_types_own_outgoing_body_t body;
  wasi_http_types_method_outgoing_response_body(wasi_http_types_borrow_outgoing_response(resp), &body);
  wasi_http_types_result_own_outgoing_response_error_code_t r = {.is_err = false, .val = {.ok = resp}};
  wasi_http_types_static_response_outparam_set(out, &r);
  wasi_http_types_own_output_stream_t w;
  wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &w);
  guest_list_u8_t bytes = {(uint8_t *)text, strlen(text)};
  wasi_io_streams_stream_error_t serr;
  wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(w), &bytes, &serr);
  wasi_io_streams_output_stream_drop_own(w);
  wasi_http_types_error_code_t err;
  wasi_http_types_static_outgoing_body_finish(body, NULL, &err);
}

void exports_wasi_http_incoming_handler_handle(exports_wasi_http_incoming_handler_own_incoming_request_t req,
                                               exports_wasi_http_incoming_handler_own_response_outparam_t out) {
  (void)req;
  reply(out, 200, "hello\n");
}
