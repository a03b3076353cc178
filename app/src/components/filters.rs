//! Filters of the leaderboard: a plain form, so that they work before WebAssembly has loaded.

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;
use virboard_core::catalog::ENCODERS;
use virboard_core::catalog::encoder::{Method, Pretraining};
use virboard_core::leaderboard::View;

/// Method, data set and epochs.
#[component]
pub fn Filters(
    /// What is shown now.
    view: Signal<View>,
) -> impl IntoView {
    let navigate = use_navigate();
    let change = move |change: fn(&mut View, String)| {
        let navigate = navigate.clone();
        move |event: web_sys::Event| {
            let mut next = view.get_untracked();
            change(&mut next, event_target_value(&event));
            let stay = NavigateOptions { scroll: false, ..NavigateOptions::default() };
            navigate(&format!("/{}", next.query()), stay);
        }
    };
    let mut epochs: Vec<u32> = ENCODERS.iter().filter_map(|e| e.epochs).collect();
    epochs.sort_unstable();
    epochs.dedup();
    let by_method = change(|v, s| v.method = Method::ALL.into_iter().find(|m| m.slug() == s));
    let by_dataset = change(|v, s| v.pretraining = Pretraining::ALL.into_iter().find(|p| p.slug() == s));
    let by_epochs = change(|v, s| v.epochs = s.parse().ok());
    view! {
        <form class="filters" method="get" action="/" role="search" aria-label="Filter encoders">
            <label>
                "Method "
                <select name="method" on:change=by_method prop:value=move || view.get().method.map_or("", Method::slug)>
                    <option value="">"all"</option>
                    {Method::ALL.map(|m| view! {
                        <option value=m.slug() selected=move || view.get().method == Some(m)>{m.name()}</option>
                    }).collect_view()}
                </select>
            </label>
            <label>
                "Pretraining data "
                <select name="dataset" on:change=by_dataset prop:value=move || view.get().pretraining.map_or("", Pretraining::slug)>
                    <option value="">"all"</option>
                    {Pretraining::ALL.map(|p| view! {
                        <option value=p.slug() selected=move || view.get().pretraining == Some(p)>{p.name()}</option>
                    }).collect_view()}
                </select>
            </label>
            <label>
                "Epochs "
                <select name="epochs" on:change=by_epochs prop:value=move || view.get().epochs.map_or_else(String::new, |e| e.to_string())>
                    <option value="">"all"</option>
                    {epochs.into_iter().map(|e| view! {
                        <option value=e.to_string() selected=move || view.get().epochs == Some(e)>{e}</option>
                    }).collect_view()}
                </select>
            </label>
            <noscript><button>"Show"</button></noscript>
            <a class="reset" href="/" class:off=move || view.get() == View::default()>"Reset"</a>
        </form>
    }
}
