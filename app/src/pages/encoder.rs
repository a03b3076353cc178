//! An encoder: what it is, where it comes from, its scores, how to get its weights.

use super::not_found::NotFound;
use super::{board_resource, failed};
use crate::api::{Board, Opinion, RunDetail, load_run};
use crate::components::curve::Curve;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;
use virboard_core::catalog::encoder::{Encoder, EncoderRole, Method};
use virboard_core::catalog::{TASKS, encoder, task::Task, task::TaskRole};
use virboard_core::results::{Probe, ResultCell, ranks};

/// The page.
#[component]
pub fn EncoderPage() -> impl IntoView {
    let params = use_params_map();
    let found = move || params.with(|p| p.get("key")).and_then(|key| encoder(&key));
    let board = board_resource();
    move || match found() {
        None => view! { <NotFound/> }.into_any(),
        Some(e) => view! {
            <Title text=e.name/>
            <nav class="crumbs" aria-label="Where you are"><a href="/">"Leaderboard"</a>" / encoder"</nav>
            <h1>{e.name}</h1>
            <p class="note">{e.note}</p>
            {facts(e)}
            <Transition fallback=|| view! { <p class="note" role="status">"Loading scores…"</p> }>
                {move || board.get().map(|loaded| match loaded {
                    Err(error) => failed(&error).into_any(),
                    Ok(board) => view! { {weights(e, &board)} {scores(e, &board)} }.into_any(),
                })}
            </Transition>
        }
        .into_any(),
    }
}

fn facts(e: &'static Encoder) -> impl IntoView {
    let number = |n: Option<u32>| n.map_or_else(|| "not known".to_owned(), thousands);
    view! {
        <dl class="facts">
            <div><dt>"Key"</dt><dd><code>{e.key}</code></dd></div>
            <div><dt>"Architecture"</dt><dd>{e.architecture.name()}</dd></div>
            <div><dt>"Embedding"</dt><dd>{e.architecture.embedding()}</dd></div>
            <div><dt>"Parameters"</dt><dd>{format!("{:.1} million", e.architecture.million_parameters())}</dd></div>
            <div><dt>"Method"</dt><dd>{e.method.name()}</dd></div>
            <div><dt>"Pretraining data"</dt><dd>{e.pretraining.name()}</dd></div>
            <div><dt>"Images"</dt><dd>{number(e.images)}</dd></div>
            <div><dt>"Epochs"</dt><dd>{number(e.epochs)}</dd></div>
        </dl>
    }
}

fn thousands(n: u32) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

fn weights(e: &'static Encoder, board: &Board) -> impl IntoView + use<> {
    let here = board.state(e.key).is_some_and(|s| s.weights);
    let heads: Vec<&'static Task> = board
        .state(e.key)
        .map(|s| TASKS.iter().filter(|t| s.heads.iter().any(|h| h == t.key)).collect())
        .unwrap_or_default();
    let how = match (here, e.role, e.method, e.url) {
        (true, EncoderRole::Sample, ..) => view! { <p>"Its weights ship with Virboard."</p> }.into_any(),
        (true, _, Method::Random, _) => view! { <p>"It needs no file: its weights come from a fixed seed."</p> }.into_any(),
        (true, ..) => view! { <p>"Its weights are on this server."</p> }.into_any(),
        (false, .., Some(url)) => view! {
            <p>"Its weights are not here. Download the checkpoint and put it into the data folder as shown; it is read strictly, as it is."</p>
            <p><a href=url rel="external noreferrer">{url}</a></p>
            <pre>{format!("curl -L -o data/checkpoints/{}.{} \\\n  {url}", e.key, ending(url))}</pre>
        }
        .into_any(),
        (false, _, Method::Supervised, None) => view! {
            <p>"Its weights are not here. Save torchvision’s and put the file into the data folder:"</p>
            <pre>{format!("python -c \"import torch, torchvision; torch.save(torchvision.models.resnet50(weights='IMAGENET1K_V1').state_dict(), 'data/checkpoints/{}.pth')\"", e.key)}</pre>
        }
        .into_any(),
        (false, ..) => view! { <p>"Its weights were never published at a fixed address. With a checkpoint of your own, save it as "<code>{format!("data/checkpoints/{}.pth", e.key)}</code>"."</p> }.into_any(),
    };
    let tried = (!heads.is_empty()).then(|| {
        let names = heads.iter().map(|t| t.name).collect::<Vec<_>>().join(", ");
        view! { <p>"Heads here: "{names}". "<a class="call" href=format!("/try?encoder={}", e.key)>"Try it on a photo"</a></p> }
    });
    view! { <section><h2>"Weights"</h2>{how}{tried}</section> }
}

fn ending(url: &str) -> &str {
    ["pth.tar", "torch", "pth", "pt"].into_iter().find(|e| url.ends_with(e)).unwrap_or("pt")
}

fn scores(e: &'static Encoder, board: &Board) -> impl IntoView + use<> {
    let (done, open): (Vec<&'static Task>, Vec<&'static Task>) =
        TASKS.iter().partition(|t| board.results.iter().any(|r| r.encoder == e.key && r.task == t.key));
    let any = !done.is_empty();
    let rows = done
        .into_iter()
        .filter_map(|t| Some((t, board.results.iter().find(|r| r.encoder == e.key && r.task == t.key)?)))
        .map(|(t, r)| row(t, r, &board.results))
        .collect_view();
    // What can be run with nothing fetched comes first.
    let (samples, others): (Vec<&'static Task>, Vec<&'static Task>) =
        open.into_iter().partition(|t| t.role == TaskRole::Sample);
    let missing = samples
        .into_iter()
        .chain(others)
        .map(|t: &'static Task| view! { <li id=t.key><a href=format!("/tasks/{}", t.key)>{t.name}</a><code>{format!("virboard evaluate --encoders {} --tasks {}", e.key, t.key)}</code></li> })
        .collect_view();
    view! {
        {any.then(|| view! {
            <section>
                <h2>"Scores"</h2>
                <div class="scroller" tabindex="0" role="region" aria-label="Scores">
                    <table class="list">
                        <thead><tr><th scope="col">"Task"</th><th scope="col">"Score"</th><th scope="col">"Constant"</th><th scope="col">"Rank"</th><th scope="col">"Second opinions, curve"</th><th scope="col">"Evidence"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            </section>
        })}
        <section>
            <h2>"Not measured yet"</h2>
            <p class="note">"With the weights and the data here, the command fills the cell. "<code>"virboard datasets"</code>" says which data are missing."</p>
            <ul class="missing">{missing}</ul>
        </section>
    }
}

fn row(t: &'static Task, r: &ResultCell, all: &[ResultCell]) -> impl IntoView + use<> {
    let of_task: Vec<&ResultCell> = all.iter().filter(|o| o.task == t.key).collect();
    let rank = ranks(&of_task.iter().map(|o| o.score).collect::<Vec<_>>(), t.metric);
    let rank = of_task.iter().position(|o| o.encoder == r.encoder).map_or(0, |i| rank[i]);
    let unit = if t.metric.is_share() { "%" } else { t.unit };
    let p = &r.provenance;
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    let evidence = format!(
        "weights {}, data {}, seed {}, {}, version {}, {:.0} s",
        short(&p.encoder_sha256),
        short(&p.dataset_sha256),
        p.seed,
        p.device,
        p.version,
        p.seconds
    );
    let (encoder, task) = (r.encoder.clone(), r.task.clone());
    let curve = Resource::new(|| (), move |()| load_run(encoder.clone(), task.clone()));
    view! {
        <tr id=t.key>
            <th scope="row"><a href=format!("/tasks/{}", t.key)>{t.name}</a><span class="about">{t.category.name()}</span></th>
            <td><strong>{t.metric.format(r.score)}" "{unit}</strong><span class="about" title=t.metric.help()>{t.metric.name()}</span></td>
            <td>{r.constant.map(|c| format!("{} {unit}", t.metric.format(c)))}</td>
            <td>{rank}" of "{of_task.len()}</td>
            <td>
                <Suspense fallback=|| ()>
                    {move || curve.get().map(|c| {
                        let detail = c.unwrap_or_default();
                        view! { {opinions(t, &detail)} <Curve points=detail.epochs metric=t.metric/> }
                    })}
                </Suspense>
            </td>
            <td class="evidence"><span class="tag">{p.source.name()}</span>" "<span class="tag">{p.protocol.name()}" protocol"</span>" "{evidence}<details><summary>"configuration"</summary><code>{p.configuration.clone()}</code></details></td>
        </tr>
    }
}

/// What other readers of the same features reached, under the head's score.
fn opinions(t: &'static Task, detail: &RunDetail) -> impl IntoView + use<> {
    let unit = if t.metric.is_share() { "%" } else { t.unit };
    let line = |o: &Opinion| {
        let name = if o.probe == Probe::Knn { "neighbours" } else { "regression" };
        view! { <span class="about">{name}" "{t.metric.format(o.score)}" "{unit}</span> }
    };
    detail.opinions.iter().map(line).collect_view()
}
