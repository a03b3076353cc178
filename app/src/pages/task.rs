//! An end task: what it asks, who does it best, what was published, how to get its data.

use super::not_found::NotFound;
use super::{board_resource, failed};
use crate::components::published::PublishedPlot;
use crate::components::standing::Standing;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;
use virboard_core::catalog::published::published;
use virboard_core::catalog::task;
use virboard_core::catalog::task::{Task, TaskRole};

/// The page.
#[component]
pub fn TaskPage() -> impl IntoView {
    let params = use_params_map();
    let found = move || params.with(|p| p.get("key")).and_then(|key| task(&key));
    let board = board_resource();
    move || {
        match found() {
        None => view! { <NotFound/> }.into_any(),
        Some(t) => view! {
            <Title text=t.name/>
            <nav class="crumbs" aria-label="Where you are"><a href="/">"Leaderboard"</a>" / "{t.category.name()}</nav>
            <h1>{t.name}</h1>
            <p>{t.description}</p>
            {(!t.caveat.is_empty()).then(|| view! { <p class="caveat">{t.caveat}</p> })}
            {facts(t)}
            <section>
                <h2>"Standing"</h2>
                <Transition fallback=|| view! { <p class="note" role="status">"Loading scores…"</p> }>
                    {move || board.get().map(|loaded| match loaded {
                        Err(error) => failed(&error).into_any(),
                        Ok(board) if board.results.iter().any(|r| r.task == t.key) => view! { <Standing task=t board/> }.into_any(),
                        Ok(_) => view! { <p class="note">"No encoder has been measured on this task on this server."</p> }.into_any(),
                    })}
                </Transition>
            </section>
            {published(t.key).map(|p| view! { <section><h2>"Published"</h2><PublishedPlot task=t published=p/></section> })}
            {data(t)}
        }
        .into_any(),
    }
    }
}

fn facts(t: &'static Task) -> impl IntoView {
    let or_unknown = |n: Option<String>| n.unwrap_or_else(|| "–".to_owned());
    view! {
        <dl class="facts">
            <div><dt>"Key"</dt><dd><code>{t.key}</code></dd></div>
            <div><dt>"Metric"</dt><dd title=t.metric.help()>{t.metric.name()}{(!t.unit.is_empty()).then(|| format!(", {}", t.unit))}</dd></div>
            <div><dt>"Data set"</dt><dd>{t.dataset}</dd></div>
            <div><dt>"Training samples"</dt><dd>{or_unknown(t.train_size.map(|n| n.to_string()))}</dd></div>
            <div><dt>"Classes"</dt><dd>{or_unknown(t.classes.map(|n| n.to_string()))}</dd></div>
            <div><dt>"Images a sample"</dt><dd>{t.images}</dd></div>
            <div><dt>"Head"</dt><dd>{t.head}</dd></div>
            <div><dt>"Loss"</dt><dd>{t.loss}</dd></div>
            <div><dt>"Input"</dt><dd>{t.input}</dd></div>
            <div><dt>"Training"</dt><dd>{or_unknown(t.epochs.zip(t.learning_rate).zip(t.batch_size).map(|((e, lr), b)| format!("{e} epochs, Adam {lr}, batch {b}")))}</dd></div>
        </dl>
        <p class="note">{t.metric.help()}</p>
    }
}

fn data(t: &'static Task) -> impl IntoView {
    let how = match (t.role, t.url) {
        (TaskRole::Sample, _) => view! {
            <p>"Its data ships with Virboard. Measure every encoder that is here:"</p>
            <pre>{format!("virboard evaluate --encoders all --tasks {}", t.key)}</pre>
        }
        .into_any(),
        (_, Some(url)) => view! {
            <p>"Its data lives with its authors, under their terms: "<a href=url rel="external noreferrer">{url}</a></p>
            <p>"Put it into the data folder in the layout of ViRB’s README. The first command says where it belongs and what is missing, the second measures:"</p>
            <pre>{format!("virboard datasets {0}\nvirboard evaluate --encoders all --tasks {0}", t.key)}</pre>
        }
        .into_any(),
        _ => ().into_any(),
    };
    view! { <section><h2>"Data"</h2>{how}</section> }
}
