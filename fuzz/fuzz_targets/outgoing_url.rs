#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| adapters::egress::fuzz::outgoing_url(bytes));
