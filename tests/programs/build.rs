//! `nop` has an entry point of its own.

fn main() {
    println!("cargo::rustc-link-arg-bin=nop=-nostartfiles");
}
