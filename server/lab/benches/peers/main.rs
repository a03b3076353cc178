//! Whole tasks beside PyTorch, ONNX Runtime and Pillow, in turns, on as many threads each.
//!
//! `cargo bench --bench peers`; the peers answer if `VIRBOARD_BENCH_PYTHON` names a Python
//! that has them. Prints tables in Markdown.

mod architecture;
mod encoder;
mod head;
mod peer;
mod photos;
mod training;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    virboard_lab::memory::keep_freed();
    if let Ok(n) = std::env::var(encoder::PASS) {
        return encoder::pass(n.parse()?);
    }
    if let Ok(nth) = std::env::var(training::STEPS) {
        return training::steps(nth.parse()?);
    }
    let folder = tempfile::tempdir()?;
    let mut peers = peer::Peers::start(folder.path())?;
    println!("{} threads. {}\n", rayon::current_num_threads(), peers.as_ref().map_or("No peers.", |p| &p.versions));
    let only = std::env::args().nth(1).filter(|a| !a.starts_with('-'));
    let rounds = std::env::var("VIRBOARD_BENCH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(15);
    let wanted = |name: &str| only.as_deref().is_none_or(|o| name.contains(o));
    if wanted("encoder") {
        encoder::encoders(&mut peers, rounds)?;
    }
    if wanted("architectures") {
        architecture::architectures(&mut peers, folder.path(), rounds.min(5))?;
    }
    if wanted("memory") {
        encoder::memory(&mut peers)?;
    }
    if wanted("linear") {
        head::linear(&mut peers, rounds)?;
    }
    if wanted("pixelwise") {
        head::pixelwise(&mut peers, rounds.min(3))?;
    }
    if wanted("deeplab") {
        head::deeplab(&mut peers, rounds.min(3))?;
    }
    if wanted("training") {
        training::training(&mut peers, rounds.min(7))?;
        training::memory(folder.path())?;
    }
    if wanted("photos") {
        photos::photos(&mut peers, folder.path(), rounds.min(7))?;
    }
    Ok(())
}
