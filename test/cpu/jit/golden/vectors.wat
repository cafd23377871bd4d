(module
  (type (;0;) (func (param i64 i32) (result i32)))
  (type (;1;) (func))
  (type (;2;) (func (param i32 i64 i32) (result i64)))
  (type (;3;) (func (param i32 i64) (result i32)))
  (import "env" "accessCompiled" (func (;0;) (type 0)))
  (import "env" "commit" (func (;1;) (type 1)))
  (import "env" "segment" (func (;2;) (type 2)))
  (import "env" "memory" (memory (;0;) 1 65536 shared))
  (func (;3;) (type 3) (param i32 i64) (result i32)
    (local i32 i32 i32 i64 i64 i32 i64 i32 i32 i32 i64 i64 v128 v128 v128 v128 i64 i64 i32 i32 i32 v128 v128 v128 v128 v128)
    (if  ;; label = @1
      (i32.or
        (i32.and
          (i32.load offset=5056 align=1
            (i32.const 0))
          (i32.const 12))
        (i32.xor
          (i32.and
            (i32.load offset=5080 align=1
              (i32.const 0))
            (i32.const 512))
          (i32.const 512)))
      (then
        (return
          (i32.const 1))))
    (local.set 5
      (i64.load offset=4264 align=1
        (i32.const 0)))
    (local.set 6
      (i64.load offset=4272 align=1
        (i32.const 0)))
    (local.set 7
      (i32.load offset=4280 align=1
        (i32.const 0)))
    (local.set 2
      (i32.load offset=5132 align=1
        (i32.const 0)))
    (local.set 3
      (local.get 2))
    (local.set 4
      (i32.load offset=5124 align=1
        (i32.const 0)))
    (local.set 18
      (i64.load offset=4144 align=1
        (i32.const 0)))
    (local.set 14
      (v128.load offset=4368 align=1
        (i32.const 0)))
    (local.set 16
      (v128.load offset=4352 align=1
        (i32.const 0)))
    (local.set 23
      (v128.load offset=4384 align=1
        (i32.const 0)))
    (block  ;; label = @1
      (block  ;; label = @2
        (loop  ;; label = @3
          (block  ;; label = @4
            (br_table 0 (;@4;)
              (local.get 0)))
          (loop  ;; label = @4
            (local.set 2
              (i32.sub
                (local.get 2)
                (i32.const 48)))
            (block  ;; label = @5
              (block  ;; label = @6
                (local.set 15
                  (local.get 14))
                (local.set 17
                  (local.get 16))
                (if  ;; label = @7
                  (i32.and
                    (i64x2.all_true
                      (v128.and
                        (v128.and
                          (v128.or
                            (f64x2.ge
                              (f64x2.abs
                                (local.get 17))
                              (v128.const i32x4 0x00000000 0x00100000 0x00000000 0x00100000))
                            (f64x2.eq
                              (local.get 17)
                              (v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000)))
                          (v128.or
                            (f64x2.ge
                              (f64x2.abs
                                (local.get 15))
                              (v128.const i32x4 0x00000000 0x00100000 0x00000000 0x00100000))
                            (f64x2.eq
                              (local.get 15)
                              (v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000))))
                        (v128.or
                          (v128.and
                            (f64x2.gt
                              (local.tee 25
                                (f64x2.abs
                                  (local.tee 24
                                    (f64x2.add
                                      (local.get 17)
                                      (local.get 15)))))
                              (v128.const i32x4 0x00000000 0x00100000 0x00000000 0x00100000))
                            (f64x2.lt
                              (local.get 25)
                              (v128.const i32x4 0x00000000 0x7ff00000 0x00000000 0x7ff00000)))
                          (v128.and
                            (f64x2.eq
                              (local.get 24)
                              (v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000))
                            (v128.const i32x4 0xffffffff 0xffffffff 0xffffffff 0xffffffff)))))
                    (i32.eq
                      (i32.and
                        (i32.load offset=5120 align=1
                          (i32.const 0))
                        (i32.const 65504))
                      (i32.const 8096)))
                  (then
                    (local.set 16
                      (local.get 24)))
                  (else
                    (if  ;; label = @8
                      (i32.and
                        (i32.eq
                          (i32.and
                            (i32.load offset=5120 align=1
                              (i32.const 0))
                            (i32.const 65472))
                          (i32.const 8064))
                        (i32.and
                          (i64x2.all_true
                            (v128.and
                              (v128.and
                                (v128.or
                                  (f64x2.ge
                                    (f64x2.abs
                                      (local.get 17))
                                    (v128.const i32x4 0x00000000 0x00100000 0x00000000 0x00100000))
                                  (f64x2.eq
                                    (local.get 17)
                                    (v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000)))
                                (v128.or
                                  (f64x2.ge
                                    (f64x2.abs
                                      (local.get 15))
                                    (v128.const i32x4 0x00000000 0x00100000 0x00000000 0x00100000))
                                  (f64x2.eq
                                    (local.get 15)
                                    (v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000))))
                              (v128.or
                                (v128.and
                                  (f64x2.gt
                                    (local.tee 26
                                      (f64x2.abs
                                        (local.get 24)))
                                    (v128.const i32x4 0x00000000 0x00100000 0x00000000 0x00100000))
                                  (f64x2.lt
                                    (local.get 26)
                                    (v128.const i32x4 0x00000000 0x7ff00000 0x00000000 0x7ff00000)))
                                (v128.and
                                  (f64x2.eq
                                    (local.get 24)
                                    (v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000))
                                  (v128.const i32x4 0xffffffff 0xffffffff 0xffffffff 0xffffffff)))))
                          (i64x2.all_true
                            (f64x2.eq
                              (f64x2.add
                                (f64x2.sub
                                  (local.get 17)
                                  (f64x2.sub
                                    (local.get 24)
                                    (local.tee 27
                                      (f64x2.sub
                                        (local.get 24)
                                        (local.get 17)))))
                                (f64x2.sub
                                  (local.get 15)
                                  (local.get 27)))
                              (v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000)))))
                      (then
                        (local.set 16
                          (local.get 24)))
                      (else
                        (local.set 10
                          (i32.const 0))
                        (local.set 11
                          (i32.const 48))
                        (local.set 9
                          (i32.const 1))
                        (br 2 (;@6;))))))
                (if  ;; label = @7
                  (i32.and
                    (i32.wrap_i64
                      (local.get 18))
                    (i32.const 15))
                  (then
                    (i32.store offset=5144 align=1
                      (i32.const 0)
                      (i32.const 13))
                    (i32.store offset=5148 align=1
                      (i32.const 0)
                      (i32.const 0))
                    (local.set 10
                      (i32.const 4))
                    (local.set 11
                      (i32.const 32))
                    (local.set 9
                      (i32.const 0))
                    (br 1 (;@6;))))
                (local.set 19
                  (local.get 18))
                (local.set 20
                  (i32.add
                    (i32.and
                      (i32.wrap_i64
                        (i64.shr_u
                          (local.get 19)
                          (i64.const 8)))
                      (i32.const 16368))
                    (local.get 4)))
                (if  ;; label = @7
                  (i64.lt_u
                    (i64.xor
                      (i64.load align=1
                        (local.get 20))
                      (local.get 19))
                    (i64.const 4081))
                  (then
                    (local.set 21
                      (i32.add
                        (i32.load offset=8 align=1
                          (local.get 20))
                        (i32.wrap_i64
                          (local.get 19)))))
                  (else
                    (local.set 22
                      (call 0
                        (local.get 19)
                        (i32.const 16)))
                    (if  ;; label = @8
                      (i32.lt_u
                        (local.get 22)
                        (i32.const 2))
                      (then
                        (local.set 10
                          (i32.const 4))
                        (local.set 11
                          (i32.const 32))
                        (local.set 9
                          (local.get 22))
                        (br 2 (;@6;))))
                    (local.set 21
                      (local.get 22))))
                (local.set 17
                  (v128.load align=1
                    (local.get 21)))
                (local.set 15
                  (local.get 23))
                (local.set 23
                  (i32x4.add
                    (local.get 15)
                    (local.get 17)))
                (br_if 2 (;@4;)
                  (i32.gt_s
                    (local.get 2)
                    (i32.load offset=5172 align=1
                      (i32.const 0))))
                (local.set 8
                  (local.get 1))
                (local.set 9
                  (i32.const 2))
                (br 5 (;@1;))
                (br 1 (;@5;)))
              (br 3 (;@2;)))))
        (unreachable))
      (local.set 8
        (i64.add
          (local.get 1)
          (i64.extend_i32_s
            (local.get 10))))
      (local.set 2
        (i32.add
          (local.get 2)
          (local.get 11))))
    (v128.store offset=4352 align=1
      (i32.const 0)
      (local.get 16))
    (v128.store offset=4384 align=1
      (i32.const 0)
      (local.get 23))
    (i64.store offset=4264 align=1
      (i32.const 0)
      (local.get 5))
    (i64.store offset=4272 align=1
      (i32.const 0)
      (local.get 6))
    (i32.store offset=4280 align=1
      (i32.const 0)
      (local.get 7))
    (i32.store offset=5132 align=1
      (i32.const 0)
      (i32.sub
        (i32.load offset=5132 align=1
          (i32.const 0))
        (i32.sub
          (local.get 3)
          (local.get 2))))
    (i64.store offset=4256 align=1
      (i32.const 0)
      (local.get 8))
    (return
      (local.get 9)))
  (table (;0;) 0 funcref)
  (export "region" (func 3))
  (elem (;0;) (i32.const 0) func))
