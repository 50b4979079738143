//! Sets the cfg for this package alone: through `RUSTFLAGS` every dependency would be built a second time.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=shardflight_shuttle");
    println!("cargo::rustc-cfg=feature=\"adaptive\"");
    println!("cargo::rustc-cfg=feature=\"cache\"");
    // The sources are another package's, whose features this one doesn't have.
    println!(
        "cargo::rustc-check-cfg=cfg(feature, values(\"adaptive\", \"batch\", \"cache\", \"dashboard\", \"macros\", \"metrics\", \"redis\", \"tower\"))"
    );
}
