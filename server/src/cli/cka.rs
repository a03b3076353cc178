//! `virboard cka`: how alike the layers of encoders are.

use super::Failure;
use super::bars::Bars;
use crate::service::Settings;
use clap::Args;
use std::path::PathBuf;
use virboard_engine::cka::layers;
use virboard_engine::encode::pictures;

/// Options of the comparison.
#[derive(Debug, Args)]
pub struct Cka {
    /// Keys of two encoders, or of one to compare with itself
    #[arg(long, value_delimiter = ',', required = true)]
    encoders: Vec<String>,
    /// Folder of pictures
    #[arg(long)]
    images: PathBuf,
    /// Use at most this many pictures, the first by name
    #[arg(long, default_value_t = 10_000)]
    limit: usize,
    /// Resize pictures to this many pixels squared (ViRB: 112) instead of the encoder's input size
    #[arg(long)]
    side: Option<u32>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Cka {
    /// Prints the alignment of every layer of the first with every layer of the second encoder.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let (first, second) = match &self.encoders[..] {
            [one] => (one.clone(), one.clone()),
            [one, other] => (one.clone(), other.clone()),
            _ => return Err("name one or two encoders".into()),
        };
        if self.side.is_some_and(|s| !(32..=1024).contains(&s)) {
            return Err("--side is from 32 to 1024 pixels".into());
        }
        let work = move || -> Result<_, virboard_engine::Error> {
            let registry = settings.registry()?;
            let mut files = pictures(&self.images)?;
            files.truncate(self.limit.max(2));
            if files.len() < 2 {
                return Err(virboard_engine::Error::Unsupported("at least two pictures are needed".to_owned()));
            }
            let bars = Bars::default();
            let of = |key: &str| layers(&*registry.get(key)?, &files, self.side, registry.device(), &bars);
            let a = of(&first)?;
            let b = if first == second { None } else { Some(of(&second)?) };
            let b = b.as_ref().unwrap_or(&a);
            let values: Vec<Vec<f64>> = a.grams.iter().map(|x| b.grams.iter().map(|y| x.cka(y)).collect()).collect();
            Ok((a.names.clone(), b.names.clone(), values, files.len(), first, second))
        };
        let (rows, columns, values, images, first, second) = tokio::task::spawn_blocking(work).await??;
        if self.json {
            let json = serde_json::json!({
                "encoders": [first, second], "images": images, "rows": rows, "columns": columns, "cka": values,
            });
            println!("{}", serde_json::to_string_pretty(&json)?);
            return Ok(());
        }
        println!("linear CKA over {images} pictures; rows {first}, columns {second}");
        println!("{:>10} {}", "", columns.iter().map(|c| format!("{c:>10}")).collect::<Vec<_>>().concat());
        for (name, row) in rows.iter().zip(values) {
            println!("{name:>10} {}", row.iter().map(|v| format!("{v:>10.4}")).collect::<Vec<_>>().concat());
        }
        Ok(())
    }
}
