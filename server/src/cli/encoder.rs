//! `virboard encoder`: encoders of one's own, and their checkpoints.

mod pack;

use super::Failure;
use crate::service::Settings;
use crate::service::declared::{Keep, add, file_of, read, remove};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use virboard_core::catalogue::architecture::Architecture;
use virboard_core::catalogue::encoder::{Encoder, EncoderRole};
use virboard_core::catalogue::{Mistake, nearest, rows};

/// Options of declaring encoders.
#[derive(Debug, Args)]
pub struct EncoderCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Declare an encoder, with its checkpoint or, to import scores alone, without
    Add(Box<Add>),
    /// List all encoders, and files that declare one but have a mistake
    List {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Write an encoder's checkpoint with weights in 8 bits, and say what that saves and costs
    Pack(pack::Pack),
    /// Take a declaration back; its scores and its checkpoint stay
    Remove {
        /// Its key
        key: String,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// A checkpoint, PyTorch (zip or legacy) or safetensors; without one only scores can be imported
    file: Option<PathBuf>,
    /// Its name in addresses and commands: letters, digits, _ and -
    #[arg(long)]
    key: String,
    /// What people call it; by default its key
    #[arg(long)]
    name: Option<String>,
    /// How it was trained, such as MoCo v2 or a name of your own
    #[arg(long)]
    method: Option<String>,
    /// On what, such as ImageNet or a name of your own
    #[arg(long)]
    data: Option<String>,
    /// On how many images
    #[arg(long)]
    images: Option<u64>,
    /// For how many epochs
    #[arg(long)]
    epochs: Option<u32>,
    /// Licence of its weights
    #[arg(long)]
    licence: Option<String>,
    /// Address of its weights
    #[arg(long)]
    url: Option<String>,
    /// What else one should know
    #[arg(long)]
    note: Option<String>,
    /// Its network; by default told from the checkpoint
    #[arg(long, default_value = "auto", value_parser = architecture)]
    architecture: Wanted,
    /// What precedes the names of its tensors, where several networks lie in the checkpoint
    #[arg(long)]
    prefix: Option<String>,
    /// Use the checkpoint where it lies instead of copying it into the data folder
    #[arg(long)]
    link: bool,
}

/// An architecture, or whichever fits.
#[derive(Debug, Clone, Copy)]
struct Wanted(Option<Architecture>);

fn architecture(name: &str) -> Result<Wanted, String> {
    if name == "auto" {
        return Ok(Wanted(None));
    }
    let known = || Architecture::all().map(Architecture::key);
    Architecture::by_key(name).map(|a| Wanted(Some(a))).ok_or_else(|| match nearest(name, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are auto, {}", known().collect::<Vec<_>>().join(", ")),
    })
}

impl EncoderCommand {
    /// Adds, lists, packs or removes.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        match self.what {
            What::Add(add) => tokio::task::spawn_blocking(move || add.run(&settings)).await?,
            What::List { json } => tokio::task::spawn_blocking(move || list(&settings, json)).await?,
            What::Pack(pack) => tokio::task::spawn_blocking(move || pack.run(&settings)).await?,
            What::Remove { key } => take_back(&settings, &key).await,
        }
    }
}

impl Add {
    fn row(&self) -> Result<Encoder, Mistake> {
        // The defaults are those of a file.
        let blank = rows::encoder("key = \"-\"")?;
        Ok(Encoder {
            key: self.key.clone(),
            name: self.name.clone().unwrap_or_else(|| self.key.clone()),
            method: self.method.clone().map_or(blank.method, Into::into),
            pretraining: self.data.clone().map_or(blank.pretraining, Into::into),
            images: self.images,
            epochs: self.epochs,
            architecture: self.architecture.0,
            prefix: self.prefix.clone(),
            licence: self.licence.clone().map(Into::into),
            url: self.url.clone(),
            note: self.note.clone().unwrap_or_default(),
            ..blank
        })
    }

    fn run(&self, settings: &Settings) -> Result<(), Failure> {
        let keep = if self.link { Keep::Refer } else { Keep::Copy };
        let (encoder, lies) = add(settings, self.row()?, self.file.as_deref(), keep)?;
        println!("{} is declared in {}", encoder.key, file_of(&settings.data, &encoder.key).display());
        match (&lies, keep) {
            (Some(path), Keep::Copy) => println!("its checkpoint was copied to {}", path.display()),
            (Some(path), Keep::Refer) => println!("its checkpoint is used from {}", path.display()),
            (None, _) => println!("it has no checkpoint here: its scores can be imported, but it cannot be run"),
        }
        Ok(())
    }
}

fn list(settings: &Settings, json: bool) -> Result<(), Failure> {
    let declared = read(&settings.data, None);
    let registry = settings.registry()?;
    let place = |e: &Encoder| registry.checkpoint(&e.key);
    if json {
        let encoders: Vec<_> = declared
            .catalogue
            .encoders()
            .iter()
            .map(|e| {
                let mut item = json!(**e);
                item["weights"] = json!(registry.available(&e.key));
                item["checkpoint"] = json!(place(e));
                item
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&json!({ "encoders": encoders, "refused": declared.refused }))?);
        return Ok(());
    }
    for e in declared.catalogue.encoders() {
        let here = match place(e) {
            Some(path) => path.display().to_string(),
            None if e.needs_no_file() => "needs no file".to_owned(),
            None => "no weights here".to_owned(),
        };
        let role = if e.role == EncoderRole::Declared { "declared" } else { "built in" };
        println!("{:28} {role:9} {:36} {here}", e.key, e.name);
    }
    for refused in &declared.refused {
        eprintln!("left out: {}", refused.reason);
    }
    Ok(())
}

async fn take_back(settings: &Settings, key: &str) -> Result<(), Failure> {
    let store = settings.store().await?;
    let scores = store.all_scores().await?.iter().filter(|s| s.encoder == key).count();
    let checkpoint = settings.registry()?.checkpoint(key);
    remove(&settings.data, key)?;
    println!("{key} is no longer declared");
    if scores > 0 {
        println!("its {scores} scores stay in the database and in exports; declared again, it is shown with them");
    }
    if let Some(path) = checkpoint {
        println!("its checkpoint stays: {}", path.display());
    }
    Ok(())
}
