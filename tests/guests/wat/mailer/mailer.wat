;; An app that imports what the host lacks: `acme:mailer/send@1.0.0` and `acme:mailer/archive@1.0.0`.
(module
  (import "acme:mailer/send@1.0.0" "send" (func $send (param i32 i32 i32 i32)))
  (import "acme:mailer/archive@1.0.0" "count" (func $count (result i32)))
  (import "wasi:http/types@0.2.12" "[resource-drop]incoming-request" (func $drop_request (param i32)))
  (import "wasi:http/types@0.2.12" "[resource-drop]response-outparam" (func $drop_out (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "someone@example.org")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "wasi:http/incoming-handler@0.2.12#handle") (param $request i32) (param $out i32)
    (call $drop_request (local.get $request))
    (call $send (i32.const 0) (i32.const 19) (i32.const 0) (call $count))
    (call $drop_out (local.get $out))))
