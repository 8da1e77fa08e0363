//! What must not compile, and for which reason: `compile/*.rs` with the compiler's own words. Their
//! twins that compile are the helpers of the other tests. The first run checks every dependency
//! once more and takes minutes; `TRYBUILD=overwrite` writes the compiler's words anew.

#[test]
fn a_use_case_cannot_be_called_without_its_grant_nor_a_reader_write() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/it/compile/no_*.rs");
}
