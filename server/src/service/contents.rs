//! Pages that are only read, and what they are made of, kept until a score changes.

use super::error::Result;
use super::places::hidden;
use super::predictions::Question;
use super::{ServiceError, Settings, Virboard, alignments, trainings};
use moka::future::Cache;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};
use virboard_app::api::{Content, Overview, SamplePhoto};
use virboard_app::content::{Address, Board, Example, Facts, Subject, Training, content, subject};
use virboard_core::catalogue::Suite;
use virboard_core::leaderboard::{Sheet, Spread};
use virboard_core::run::{Counting, Run};

/// Pages that are kept; one has about 100 kB.
const PAGES: u64 = 300;
/// Photographs on the page of a task.
const EXAMPLES: usize = 2;
/// How long the presence of weights and heads is believed.
const BELIEVED: Duration = Duration::from_secs(2);

/// All scores and what can be run, at one moment.
struct Snapshot {
    board: Arc<Board>,
    sheets: Arc<Vec<Sheet>>,
    revision: i64,
    /// Grows with every difference from the snapshot before.
    generation: u64,
    taken: Instant,
}

/// What was read and written last.
pub struct Contents {
    last: RwLock<Option<Arc<Snapshot>>>,
    pages: Cache<(u64, Address), Arc<Content>>,
}

impl Default for Contents {
    fn default() -> Self {
        Self { last: RwLock::default(), pages: Cache::new(PAGES) }
    }
}

impl Contents {
    fn last(&self) -> Option<Arc<Snapshot>> {
        self.last.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// The sheets of all suites, first the one that has more to show.
fn sheets(board: &Board, spreads: &[Spread]) -> Vec<Sheet> {
    let here = |key: &str| board.state(key).is_some_and(|s| s.weights);
    let of = |suite: &Suite| Sheet::of(&board.catalogue, suite, &board.results, spreads, here);
    let mut sheets: Vec<Sheet> = board.catalogue.suites().iter().map(of).collect();
    sheets.sort_by_key(|s| s.filled() == 0);
    sheets
}

impl Virboard {
    async fn snapshot(&self) -> Result<Arc<Snapshot>> {
        let revision = self.store.revision().await?;
        let last = self.contents.last();
        if let Some(s) = last.as_ref().filter(|s| s.revision == revision && s.taken.elapsed() < BELIEVED) {
            return Ok(s.clone());
        }
        self.reread().await?;
        let scores = self.store.counting_scores().await?;
        let Counting { heads: results, opinions, fine_tuned } = Counting::of(scores.into_iter().map(hidden));
        let app = self.clone();
        // Looks for files.
        let (encoders, alignments) =
            tokio::task::spawn_blocking(move || (app.encoders(), alignments::read_all(&app.alignments))).await?;
        let catalogue = self.catalogue();
        let board = Board { catalogue, results, opinions, fine_tuned, encoders, alignments: Arc::new(alignments) };
        let generation = last.as_ref().map_or(0, |s| s.generation);
        let (board, sheets, generation) = match last {
            Some(s) if *s.board == board => (s.board.clone(), s.sheets.clone(), generation),
            _ => {
                let spreads = self.store.spreads().await?;
                let (board, sheets) = tokio::task::spawn_blocking(move || {
                    let sheets = sheets(&board, &spreads);
                    (board, sheets)
                })
                .await?;
                (Arc::new(board), Arc::new(sheets), generation + 1)
            }
        };
        let snapshot = Arc::new(Snapshot { board, sheets, revision, generation, taken: Instant::now() });
        *self.contents.last.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(snapshot.clone());
        Ok(snapshot)
    }

    /// Current scores, and what is here of each encoder.
    pub async fn board(&self) -> Result<Arc<Board>> {
        Ok(self.snapshot().await?.board.clone())
    }

    /// The leaderboard's numbers, and what is here of each encoder.
    pub async fn overview(&self) -> Result<Overview> {
        let snapshot = self.snapshot().await?;
        Ok(Overview { sheets: (*snapshot.sheets).clone(), encoders: snapshot.board.encoders.clone() })
    }

    /// The leaderboard's numbers.
    pub async fn sheets(&self) -> Result<Arc<Vec<Sheet>>> {
        Ok(self.snapshot().await?.sheets.clone())
    }

    /// The page at an address. Several who ask for it at once wait for one.
    pub async fn content(&self, address: Address) -> Result<Arc<Content>> {
        let snapshot = self.snapshot().await?;
        let key = (snapshot.generation, address.clone());
        let made = self.contents.pages.try_get_with(key, async {
            let mut facts =
                Facts { board: snapshot.board.clone(), sheets: snapshot.sheets.clone(), ..Facts::default() };
            match subject(&address) {
                Subject::Encoder(key) => {
                    facts.runs = self.runs_of(key, &snapshot.board).await?;
                    facts.training = self.training_of(key, &snapshot.board).await?;
                }
                Subject::Task(key) => facts.examples = self.examples(key, &snapshot).await,
                Subject::Runs | Subject::General => {}
            }
            let made = tokio::task::spawn_blocking(move || content(&address, &facts)).await?;
            Ok::<_, ServiceError>(Arc::new(made))
        });
        made.await.map_err(ServiceError::internal)
    }

    /// What the best and the worst encoder with a head say of sample photographs about a task.
    /// A page goes without them where the device is busy.
    async fn examples(&self, key: &str, snapshot: &Snapshot) -> Vec<Example> {
        let Some(task) = snapshot.board.catalogue.task(key) else { return Vec::new() };
        let head = |e: &str| snapshot.board.state(e).is_some_and(|s| s.heads.iter().any(|h| h == key));
        let Some((sheet, column)) =
            snapshot.sheets.iter().find_map(|s| Some((s, s.columns.iter().find(|c| c.key == key)?)))
        else {
            return Vec::new();
        };
        let rows = column.order().into_iter().filter(|row| head(&sheet.rows[*row].key));
        let (references, ranked): (Vec<usize>, Vec<usize>) = rows.partition(|row| column.reference(*row));
        // References stand for the others only where there are no others.
        let shown = if ranked.len() > 1 { ranked } else { references };
        let [best, .., worst] = shown[..] else { return Vec::new() };
        let [best, worst] = [best, worst].map(|row| sheet.rows[row].key.as_str());
        let fits = |p: &&SamplePhoto| p.rendered == task.rendered && (task.images == 1 || p.second.is_some());
        let mut examples = Vec::new();
        for photo in self.photos.iter().filter(fits).take(EXAMPLES) {
            let second = photo.second.as_deref().filter(|_| task.images > 1);
            let question = Question {
                encoders: vec![best.to_owned(), worst.to_owned()],
                tasks: vec![key.to_owned()],
                second: second.map(str::to_owned),
            };
            match self.predict_stored(&photo.sha256, question).await {
                Ok(answer) => examples.push(Example { photo: photo.clone(), predictions: answer.outputs }),
                Err(error) => tracing::warn!(task = key, %error, "no example"),
            }
        }
        examples
    }

    /// The runs behind an encoder's scores.
    async fn runs_of(&self, encoder: &str, board: &Board) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for score in board.results.iter().filter(|r| r.encoder == encoder) {
            let epochs = match score.run {
                Some(run) => self.store.epochs_of(run).await?,
                None => Vec::new(),
            };
            runs.push(Run { score: score.clone(), epochs });
        }
        Ok(runs)
    }

    /// What is kept of the pre-training of an encoder that was made here.
    async fn training_of(&self, encoder: &str, board: &Board) -> Result<Option<Training>> {
        let record = board.catalogue.encoder(encoder).and_then(|e| e.record.clone());
        let Settings { data, samples, .. } = &self.settings;
        let Some(paths) = record.map(|record| [data.join(&record), samples.join(record)]) else { return Ok(None) };
        Ok(tokio::task::spawn_blocking(move || trainings::read(&paths)).await?)
    }
}
