//! `virboard scene`: a rendered scene with its truth, to look at or to test with.

use super::Failure;
use clap::Args;
use image::{ImageBuffer, Luma};
use std::path::PathBuf;
use virboard_lab::scene::{MAX_DEPTH, Motion, Scene};

/// Options of a rendering.
#[derive(Debug, Args)]
pub struct SceneCommand {
    /// Seed of the scene; 10000 to 10239 are trained on, 20000 to 20059 tested on
    #[arg(long)]
    seed: u64,
    /// Folder for picture.png, mask.png (8-bit class indices) and depth.png (16-bit, 65535 = 20 m)
    #[arg(long)]
    out: PathBuf,
    /// Width in pixels
    #[arg(long, default_value_t = 640)]
    width: u32,
    /// Also the view after the camera has gone 0.15 m ahead and turned 1.5 degrees to the right: second.png
    #[arg(long)]
    pair: bool,
    /// Height in pixels
    #[arg(long, default_value_t = 480)]
    height: u32,
}

impl SceneCommand {
    /// Renders and writes the files.
    pub fn run(self) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.out)?;
        let (w, h) = (self.width, self.height);
        let scene = Scene::new(self.seed);
        let rendered = scene.render(w, h);
        if self.pair {
            let motion = Motion { ahead: 0.15, yaw: 1.5f64.to_radians(), ..Motion::default() };
            scene.moved(motion).render(w, h).picture.save(self.out.join("second.png"))?;
        }
        rendered.picture.save(self.out.join("picture.png"))?;
        let mask = ImageBuffer::<Luma<u8>, _>::from_raw(w, h, rendered.classes).ok_or("the mask has the wrong size")?;
        mask.save(self.out.join("mask.png"))?;
        let depth: Vec<u16> = rendered.depth.iter().map(|d| (d / MAX_DEPTH * 65535.0).round() as u16).collect();
        let depth = ImageBuffer::<Luma<u16>, _>::from_raw(w, h, depth).ok_or("the depth has the wrong size")?;
        depth.save(self.out.join("depth.png"))?;
        Ok(())
    }
}
