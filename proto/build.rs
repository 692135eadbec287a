//! Compiles `defs/**/*.proto` with protox: no protoc needed.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=defs");
    let files = protox::compile(["defs/drpc.proto", "defs/daosx_v1.proto"], ["defs"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
