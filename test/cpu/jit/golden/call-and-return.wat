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
    (local i32 i32 i32 i64 i64 i32 i64 i32 i32 i32 i64 i64 i64 i64 i64 i64 i64 i32 i32 i64 i32 i32 i64 i64 i32 i32 i32 i64 i64 i64 i64 i32 i32)
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
    (local.set 14
      (i64.load offset=4128 align=1
        (i32.const 0)))
    (local.set 21
      (i64.load offset=4096 align=1
        (i32.const 0)))
    (block  ;; label = @1
      (block  ;; label = @2
        (loop  ;; label = @3
          (block  ;; label = @4
            (block  ;; label = @5
              (br_table 0 (;@5;) 1 (;@4;)
                (local.get 0)))
            (local.set 2
              (i32.sub
                (local.get 2)
                (i32.const 16)))
            (block  ;; label = @5
              (block  ;; label = @6
                (local.set 15
                  (local.get 14))
                (local.set 16
                  (i64.add
                    (local.get 1)
                    (i64.const 5)))
                (local.set 17
                  (i64.sub
                    (local.get 15)
                    (i64.const 8)))
                (local.set 18
                  (local.get 17))
                (local.set 19
                  (i32.add
                    (i32.and
                      (i32.wrap_i64
                        (i64.shr_u
                          (local.get 18)
                          (i64.const 8)))
                      (i32.const 16368))
                    (local.get 4)))
                (if  ;; label = @7
                  (i64.lt_u
                    (i64.xor
                      (i64.load offset=16384 align=1
                        (local.get 19))
                      (local.get 18))
                    (i64.const 4089))
                  (then
                    (i64.store align=1
                      (i32.add
                        (i32.load offset=16392 align=1
                          (local.get 19))
                        (i32.wrap_i64
                          (local.get 18)))
                      (local.get 16)))
                  (else
                    (local.set 20
                      (call 0
                        (local.get 18)
                        (i32.const 264)))
                    (if  ;; label = @8
                      (i32.lt_u
                        (local.get 20)
                        (i32.const 2))
                      (then
                        (local.set 10
                          (i32.const 0))
                        (local.set 11
                          (i32.const 16))
                        (local.set 9
                          (local.get 20))
                        (br 2 (;@6;))))
                    (i64.store align=1
                      (local.get 20)
                      (local.get 16))
                    (if  ;; label = @8
                      (i32.lt_u
                        (local.get 20)
                        (i32.const 8192))
                      (then
                        (call 1)))))
                (local.set 14
                  (local.get 17))
                (local.set 2
                  (i32.sub
                    (local.get 2)
                    (i32.const 32)))
                (local.set 22
                  (i32.wrap_i64
                    (local.get 21)))
                (local.set 23
                  (i64.lt_s
                    (local.get 6)
                    (i64.const 0)))
                (local.set 21
                  (i64.extend_i32_u
                    (local.tee 33
                      (i32.add
                        (local.get 22)
                        (i32.const 1)))))
                (block  ;; label = @7
                  (block  ;; label = @8
                    (local.set 24
                      (local.get 14))
                    (local.set 25
                      (local.get 24))
                    (local.set 26
                      (i32.add
                        (i32.and
                          (i32.wrap_i64
                            (i64.shr_u
                              (local.get 25)
                              (i64.const 8)))
                          (i32.const 16368))
                        (local.get 4)))
                    (if  ;; label = @9
                      (i64.lt_u
                        (i64.xor
                          (i64.load align=1
                            (local.get 26))
                          (local.get 25))
                        (i64.const 4089))
                      (then
                        (local.set 27
                          (i32.add
                            (i32.load offset=8 align=1
                              (local.get 26))
                            (i32.wrap_i64
                              (local.get 25)))))
                      (else
                        (local.set 28
                          (call 0
                            (local.get 25)
                            (i32.const 8)))
                        (if  ;; label = @10
                          (i32.lt_u
                            (local.get 28)
                            (i32.const 2))
                          (then
                            (local.set 10
                              (i32.const 9))
                            (local.set 11
                              (i32.const 16))
                            (local.set 9
                              (local.get 28))
                            (br 2 (;@8;))))
                        (local.set 27
                          (local.get 28))))
                    (local.set 29
                      (i64.load align=1
                        (local.get 27)))
                    (local.set 30
                      (local.get 29))
                    (local.set 31
                      (local.get 14))
                    (local.set 14
                      (i64.add
                        (local.get 31)
                        (i64.const 8)))
                    (local.set 32
                      (local.get 30))
                    (if  ;; label = @9
                      (i64.eq
                        (local.get 32)
                        (i64.add
                          (local.get 1)
                          (i64.const 5)))
                      (then
                        (local.set 12
                          (i64.extend_i32_s
                            (local.tee 33
                              (i32.add
                                (local.get 22)
                                (i32.const 1)))))
                        (local.set 13
                          (i64.shl
                            (i64.extend_i32_u
                              (i32.or
                                (i32.shl
                                  (local.get 23)
                                  (i32.const 1))
                                (i32.xor
                                  (local.get 23)
                                  (i32.xor
                                    (i32.and
                                      (i32.shr_u
                                        (local.tee 34
                                          (i32.or
                                            (i32.and
                                              (local.get 22)
                                              (i32.const 1))
                                            (i32.and
                                              (i32.or
                                                (local.get 22)
                                                (i32.const 1))
                                              (i32.xor
                                                (local.get 33)
                                                (i32.const -1)))))
                                        (i32.const 31))
                                      (i32.const 1))
                                    (i32.and
                                      (i32.shr_u
                                        (local.get 34)
                                        (i32.const 30))
                                      (i32.const 1))))))
                            (i64.const 62)))
                        (local.set 7
                          (i32.or
                            (i32.const 0)
                            (i32.and
                              (local.get 34)
                              (i32.const 8))))
                        (local.set 5
                          (local.get 12))
                        (local.set 6
                          (local.get 13))
                        (br 5 (;@4;))))
                    (local.set 12
                      (i64.extend_i32_s
                        (local.tee 34
                          (i32.add
                            (local.get 22)
                            (i32.const 1)))))
                    (local.set 13
                      (i64.shl
                        (i64.extend_i32_u
                          (i32.or
                            (i32.shl
                              (local.get 23)
                              (i32.const 1))
                            (i32.xor
                              (local.get 23)
                              (i32.xor
                                (i32.and
                                  (i32.shr_u
                                    (local.tee 33
                                      (i32.or
                                        (i32.and
                                          (local.get 22)
                                          (i32.const 1))
                                        (i32.and
                                          (i32.or
                                            (local.get 22)
                                            (i32.const 1))
                                          (i32.xor
                                            (local.get 34)
                                            (i32.const -1)))))
                                    (i32.const 31))
                                  (i32.const 1))
                                (i32.and
                                  (i32.shr_u
                                    (local.get 33)
                                    (i32.const 30))
                                  (i32.const 1))))))
                        (i64.const 62)))
                    (local.set 7
                      (i32.or
                        (i32.const 0)
                        (i32.and
                          (local.get 33)
                          (i32.const 8))))
                    (local.set 5
                      (local.get 12))
                    (local.set 6
                      (local.get 13))
                    (local.set 8
                      (local.get 32))
                    (local.set 9
                      (i32.const 2))
                    (br 7 (;@1;))
                    (br 1 (;@7;)))
                  (local.set 12
                    (i64.extend_i32_s
                      (local.tee 33
                        (i32.add
                          (local.get 22)
                          (i32.const 1)))))
                  (local.set 13
                    (i64.shl
                      (i64.extend_i32_u
                        (i32.or
                          (i32.shl
                            (local.get 23)
                            (i32.const 1))
                          (i32.xor
                            (local.get 23)
                            (i32.xor
                              (i32.and
                                (i32.shr_u
                                  (local.tee 34
                                    (i32.or
                                      (i32.and
                                        (local.get 22)
                                        (i32.const 1))
                                      (i32.and
                                        (i32.or
                                          (local.get 22)
                                          (i32.const 1))
                                        (i32.xor
                                          (local.get 33)
                                          (i32.const -1)))))
                                  (i32.const 31))
                                (i32.const 1))
                              (i32.and
                                (i32.shr_u
                                  (local.get 34)
                                  (i32.const 30))
                                (i32.const 1))))))
                      (i64.const 62)))
                  (local.set 7
                    (i32.or
                      (i32.const 0)
                      (i32.and
                        (local.get 34)
                        (i32.const 8))))
                  (local.set 5
                    (local.get 12))
                  (local.set 6
                    (local.get 13))
                  (br 5 (;@2;)))
                (br 1 (;@5;)))
              (br 3 (;@2;))))
          (local.set 2
            (i32.sub
              (local.get 2)
              (i32.const 16)))
          (if  ;; label = @4
            (i32.gt_s
              (local.get 2)
              (i32.load offset=5172 align=1
                (i32.const 0)))
            (then
              (local.set 0
                (i32.const 0))
              (br 1 (;@3;))))
          (local.set 8
            (local.get 1))
          (local.set 9
            (i32.const 2))
          (br 2 (;@1;)))
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
    (i64.store offset=4128 align=1
      (i32.const 0)
      (local.get 14))
    (i64.store offset=4096 align=1
      (i32.const 0)
      (local.get 21))
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
