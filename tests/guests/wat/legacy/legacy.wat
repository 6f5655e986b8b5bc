;; A guest of Spin 1.x as `spin build` made them before components: exports `handle-http-request`, in the ABI of
;; wit-bindgen 0.2. Answers with the method's number, the uri, and the request's body; DELETE with a status that is none;
;; sets a cookie twice. With its exports renamed it is the same guest for `fermyon:spin/inbound-http` as a component.
(module
  (memory (export "memory") 2)
  (global $free (mut i32) (i32.const 4096))

  ;; The response: status, headers (some, pointer, length), body (some, pointer, length).
  (data (i32.const 0) "\00\00\00\00\01\00\00\00\40\00\00\00\03\00\00\00\01\00\00\00")
  ;; Three headers: pairs of pointer and length.
  (data (i32.const 64) "\00\01\00\00\0c\00\00\00" "\10\01\00\00\0a\00\00\00"
                       "\20\01\00\00\0a\00\00\00" "\30\01\00\00\03\00\00\00"
                       "\20\01\00\00\0a\00\00\00" "\40\01\00\00\03\00\00\00")
  (data (i32.const 256) "content-type")
  (data (i32.const 272) "text/plain")
  (data (i32.const 288) "set-cookie")
  (data (i32.const 304) "a=1")
  (data (i32.const 320) "b=2")

  (func $allocate (param $align i32) (param $size i32) (result i32)
    (local $start i32)
    (local.set $start
      (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $start) (local.get $size)))
    (if (i32.gt_u (global.get $free) (i32.mul (memory.size) (i32.const 65536)))
      (then
        (drop (memory.grow (i32.add (i32.div_u (local.get $size) (i32.const 65536)) (i32.const 1))))))
    (local.get $start))

  (func (export "canonical_abi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
    (result i32)
    (local $start i32)
    (local.set $start (call $allocate (local.get $align) (local.get $size)))
    (memory.copy (local.get $start) (local.get $old) (local.get $old_size))
    (local.get $start))

  (func (export "canonical_abi_free") (param $start i32) (param $size i32) (param $align i32))

  (func (export "handle-http-request")
    (param $method i32) (param $uri i32) (param $uri_length i32) (param $headers i32) (param $headers_length i32)
    (param $params i32) (param $params_length i32) (param $has_body i32) (param $body i32) (param $body_length i32)
    (result i32)
    (local $text i32)
    (local $end i32)
    (local.set $text
      (call $allocate (i32.const 1) (i32.add (i32.const 3) (i32.add (local.get $uri_length) (local.get $body_length)))))
    (i32.store8 (local.get $text) (i32.add (i32.const 48) (local.get $method)))
    (i32.store8 (i32.add (local.get $text) (i32.const 1)) (i32.const 32))
    (local.set $end (i32.add (local.get $text) (i32.const 2)))
    (memory.copy (local.get $end) (local.get $uri) (local.get $uri_length))
    (local.set $end (i32.add (local.get $end) (local.get $uri_length)))
    (i32.store8 (local.get $end) (i32.const 10))
    (local.set $end (i32.add (local.get $end) (i32.const 1)))
    (memory.copy (local.get $end) (local.get $body) (local.get $body_length))
    (local.set $end (i32.add (local.get $end) (local.get $body_length)))
    (i32.store16 (i32.const 0)
      (select (i32.const 999) (i32.const 200) (i32.eq (local.get $method) (i32.const 3))))
    (i32.store (i32.const 20) (local.get $text))
    (i32.store (i32.const 24) (i32.sub (local.get $end) (local.get $text)))
    (i32.const 0)))
