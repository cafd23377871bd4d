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
    (local i32 i32 i32 i64 i64 i32 i64 i32 i32 i32 i64 i64 i64 i64 i64 i64 i64 i32 i32 i64 i64)
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
      (i64.load offset=4096 align=1
        (i32.const 0)))
    (local.set 16
      (i64.load offset=4104 align=1
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
            (local.set 15
              (local.get 14))
            (local.set 17
              (local.get 16))
            (local.set 14
              (local.tee 21
                (i64.add
                  (local.get 15)
                  (local.get 17))))
            (local.set 18
              (local.get 16))
            (local.set 19
              (i64.lt_u
                (local.tee 21
                  (i64.add
                    (local.get 15)
                    (local.get 17)))
                (local.get 15)))
            (local.set 16
              (local.tee 22
                (i64.sub
                  (local.get 18)
                  (i64.const 1))))
            (local.set 20
              (i64.eqz
                (local.tee 22
                  (i64.sub
                    (local.get 18)
                    (i64.const 1)))))
            (if  ;; label = @5
              (i32.eqz
                (local.get 20))
              (then
                (br_if 1 (;@4;)
                  (i32.gt_s
                    (local.get 2)
                    (i32.load offset=5172 align=1
                      (i32.const 0))))
                (local.set 8
                  (local.get 1))
                (local.set 9
                  (i32.const 2))
                (br 4 (;@1;))))
            (local.set 2
              (i32.sub
                (local.get 2)
                (i32.const 16)))
            (br_if 0 (;@4;)
              (i32.gt_s
                (local.get 2)
                (i32.load offset=5172 align=1
                  (i32.const 0))))
            (local.set 8
              (local.get 1))
            (local.set 9
              (i32.const 2))
            (br 3 (;@1;))))
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
    (i64.store offset=4096 align=1
      (i32.const 0)
      (local.get 14))
    (i64.store offset=4104 align=1
      (i32.const 0)
      (local.get 16))
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
