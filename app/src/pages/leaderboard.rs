//! The home page: encoders x tasks.

use super::{board_resource, failed};
use crate::components::filters::Filters;
use crate::components::score_table::ScoreTable;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use virboard_core::leaderboard::{View, paper, samples};

/// The page.
#[component]
pub fn LeaderboardPage() -> impl IntoView {
    let query = use_query_map();
    let view = Signal::derive(move || View::from_query(|key| query.with(|q| q.get(key))));
    let board = board_resource();
    view! {
        <Title text="Leaderboard"/>
        <div class="intro">
            <h1>"Which frozen image encoder should you use?"</h1>
            <p>
                "33 encoders on the 20 end tasks of the ViRB benchmark, in four categories: what the answer covers (image or pixels) and what it is about (things or space). "
                <a class="call" href="/try">"See what an encoder makes of your photo"</a>
            </p>
        </div>
        <Filters view/>
        <Transition fallback=|| view! { <p class="note" role="status">"Loading scores…"</p> }>
            {move || {
                let view = view.get();
                board.get().map(|loaded| match loaded {
                    Err(error) => failed(&error).into_any(),
                    Ok(board) => {
                        let measured = paper(&board.results, &View::default()).filled();
                        let state = if measured == 0 {
                            "No cell is filled on this server yet.".to_owned()
                        } else {
                            format!("{measured} cells are filled on this server.")
                        };
                        view! {
                            <section id="samples">
                                <h2>"Sample suite " <span class="tag">"ships with Virboard"</span></h2>
                                <p class="note">"Small encoders and data that run with nothing downloaded. Measured for real, but no replacement for the tasks below."</p>
                                <ScoreTable caption="Sample suite: encoders by sample tasks" board=board.clone() view=view.clone() part=samples/>
                            </section>
                            <section id="paper">
                                <h2>"ViRB: 30 encoders, baselines and 20 tasks"</h2>
                                <p class="note">
                                    {state}
                                    " An empty cell fills when the encoder’s weights and the task’s data are here and "
                                    <code>"virboard evaluate --encoders KEY --tasks KEY"</code>
                                    " has run; click a dot to see what is missing. Nothing is ever shown as measured that was not."
                                </p>
                                <ScoreTable caption="ViRB: encoders by tasks" board view part=paper/>
                            </section>
                            <ul class="key-line">
                                <li><i class="swatch low"></i>"worst of its task"</li>
                                <li><i class="swatch high"></i>"best of its task"</li>
                                <li><i class="swatch imported"></i>"imported, not measured here"</li>
                                <li><sup>"v"</sup>" by ViRB’s own protocol, not to be compared with the others"</li>
                                <li>"· not measured yet"</li>
                                <li>"↑ higher is better, ↓ lower is better"</li>
                            </ul>
                        }.into_any()
                    }
                })
            }}
        </Transition>
    }
}
