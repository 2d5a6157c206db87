//! `nop` is entered before the C library's start.

fn main() {
    println!("cargo::rustc-link-arg-bin=nop=--entry=first_instruction");
}
