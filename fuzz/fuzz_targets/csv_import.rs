#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tasks::fuzz::csv_import(bytes));
