//! A photo in, outputs out. All state is in the address, so that a result can be shared.

use super::{carried, failed, overview_resource};
use crate::api::{Carried, Overview, load_predictions, load_samples};
use crate::browser::TOO_LARGE;
use crate::components::outputs::Outputs;
use crate::components::picker::EncoderPicker;
use crate::components::second::SecondPhoto;
use crate::components::upload::Upload;
use leptos::prelude::*;
use leptos::server::codee::string::FromToStringCodec;
use leptos_meta::Title;
use leptos_router::hooks::{use_navigate, use_query_map};
use virboard_core::prediction::Predictions;
use virboard_core::unread::Unread;

/// The encoder that answers first: it has an ImageNet head of its own.
const DEFAULT: &str = "EfficientNetLite0";

/// The sentence for a problem that the plain form came back with.
fn told(kind: &str) -> String {
    if let Some(unread) = Unread::by_key(kind) {
        return unread.to_string();
    }
    let sentence = match kind {
        "empty-file" => "The file is empty. Choose a photo to upload.",
        "file-too-large" => TOO_LARGE,
        "picture-too-large" => "The picture has more than 40 megapixels. Make it smaller first.",
        "svg" => "SVG drawings are not read. Export the drawing as PNG and upload that.",
        "not-a-picture" => "This is not a picture that can be read. Use JPEG, PNG, WebP, GIF, BMP or TIFF.",
        "unread-kind" => "Files of this kind are not read. Save the picture as an ordinary PNG or JPEG.",
        "picture-too-deep" => {
            "Decoding the picture would take too much memory. Save it with 8 bits a channel, or make it smaller."
        }
        "too-many-passes" | "picture-too-slow" => {
            "Decoding the picture takes too long. Save it again as an ordinary JPEG or PNG."
        }
        "stalled" => "The upload stood still for too long. Check the connection and send it again.",
        "disk-full" => "The disk of the server is full, so that nothing new can be kept.",
        "read-only" => "The data folder of this server is read-only, so that nothing new can be kept.",
        "damaged-picture" => "The file is damaged or incomplete. Try to open and save it again.",
        "busy" | "timeout" => "Virboard is busy. Try again in a few seconds.",
        "unknown-encoder" | "no-weights" => "This encoder is not here. Choose another one.",
        _ => "The photo could not be used. Try again.",
    };
    sentence.to_owned()
}

/// The address of a result.
fn address(image: &str, second: &str, encoder: &str, with: &str) -> String {
    // Without a photo the first encoder is the default's business.
    let encoder = if image.is_empty() && encoder == DEFAULT { "" } else { encoder };
    let all = [("image", image), ("second", second), ("encoder", encoder), ("with", with)];
    let parts: Vec<String> =
        all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| format!("{key}={value}")).collect();
    if parts.is_empty() { "/try".to_owned() } else { format!("/try?{}", parts.join("&")) }
}

/// The page.
#[component]
pub fn TryPage() -> impl IntoView {
    let query = use_query_map();
    let get = move |key: &str| query.with(|q| q.get(key)).unwrap_or_default();
    let image = Memo::new(move |_| get("image"));
    let second = Memo::new(move |_| get("second"));
    let plain = |key: &String| key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let known = move |key: &str| Some(get(key)).filter(plain).unwrap_or_default();
    let chosen =
        Memo::new(move |_| Some(known("encoder")).filter(|k| !k.is_empty()).unwrap_or_else(|| DEFAULT.to_owned()));
    let with = Memo::new(move |_| Some(known("with")).filter(|k| *k != chosen.get()).unwrap_or_default());
    let problem = RwSignal::new(Some(get("problem")).filter(|p| !p.is_empty()).map(|p| told(&p)));
    let board = overview_resource();
    let photos = Resource::new_str(|| (), |()| async { carried(load_samples().await) });
    let navigate = use_navigate();
    let go = Callback::new(move |to: String| {
        problem.set(None);
        navigate(&to, leptos_router::NavigateOptions { scroll: false, ..Default::default() });
    });
    let encoders =
        Signal::derive(move || [chosen.get(), with.get()].into_iter().filter(|k| !k.is_empty()).collect::<Vec<_>>());
    let done = Callback::new(move |p: Predictions| {
        go.run(address(&p.image.sha256, "", &chosen.get_untracked(), &with.get_untracked()));
    });
    let seconded = Callback::new(move |sha256: String| {
        go.run(address(&image.get_untracked(), &sha256, &chosen.get_untracked(), &with.get_untracked()));
    });
    view! {
        <Title text="Try a photo"/>
        <div class="intro">
            <h1>"See what an encoder sees"</h1>
            <p>"One pass through a frozen encoder, then a small head for each question: what is it, where is it, how far is it?"</p>
        </div>
        <form class="try-form" method="post" action="/try" enctype="multipart/form-data">
            <Upload encoders done problem/>
            <Suspense>
                {move || board.get().map(|loaded| {
                    let states = loaded.0.map(|b| b.encoders).unwrap_or_default();
                    view! {
                        <div class="pickers">
                            <label>"Encoder "
                                <EncoderPicker name="encoder" states=states.clone() chosen=chosen.into()
                                    change=Callback::new(move |k: String| go.run(address(&image.get_untracked(), &second.get_untracked(), &k, &with.get_untracked())))/>
                            </label>
                            <label>"Compare with "
                                <EncoderPicker name="with" states chosen=with.into() none="nothing"
                                    change=Callback::new(move |k: String| go.run(address(&image.get_untracked(), &second.get_untracked(), &chosen.get_untracked(), &k)))/>
                            </label>
                        </div>
                    }
                })}
            </Suspense>
        </form>
        <p class="problem" role="alert" class:off=move || problem.get().is_none()>{move || problem.get()}</p>
        <section class="samples" aria-label="Sample photographs">
            <h2>"Or one of these"</h2>
            <Suspense>
                {move || photos.get().map(|loaded| loaded.0.unwrap_or_default().into_iter().map(|p| {
                    let (sha, pair) = (p.sha256.clone(), p.second.clone().unwrap_or_default());
                    let current = p.sha256.clone();
                    let (title, alt) = (format!("{} ({})", p.title, p.credit), p.title.clone());
                    view! {
                        <a class="thumb" href=move || address(&sha, &pair, &chosen.get(), &with.get())
                            aria-current=move || (image.get() == current).then_some("true")
                            title=title>
                            <img src=p.thumbnail alt=alt width="132" height="99" loading="lazy"/>
                            <span>{p.title}</span>
                        </a>
                    }
                }).collect_view())}
            </Suspense>
        </section>
        <Show when=move || !image.get().is_empty()>
            <noscript>
                <form class="again" method="get" action="/try">
                    <input type="hidden" name="image" value=image/>
                    <input type="hidden" name="second" value=second/>
                    <label>"Encoder key "<input name="encoder" value=chosen/></label>
                    <label>"Compare with "<input name="with" value=with/></label>
                    <button>"Show"</button>
                </form>
            </noscript>
            <div class="result" class:pair=move || !with.get().is_empty()>
                <figure class="picture photo">
                    <img src=move || format!("/api/v1/images/{}", image.get()) alt="Your photo"/>
                    <SecondPhoto second chosen change=seconded problem/>
                    <figcaption><a href=move || format!("/api/v1/images/{}", image.get()) download="photo.jpg" rel="external">"Download"</a>" · the address of this page is the link to share"</figcaption>
                </figure>
                <Column image second key=chosen board/>
                <Show when=move || !with.get().is_empty()>
                    <Column image second key=with board/>
                </Show>
            </div>
        </Show>
    }
}

/// The outputs of one encoder.
#[component]
fn Column(
    image: Memo<String>,
    second: Memo<String>,
    key: Memo<String>,
    board: Resource<Carried<Overview>, FromToStringCodec>,
) -> impl IntoView {
    let answer = Resource::new_str(
        move || (image.get(), second.get(), key.get()),
        |(image, second, key)| async move {
            if image.is_empty() {
                return Carried(Ok(None));
            }
            carried(load_predictions(image, Some(second).filter(|s| !s.is_empty()), key).await.map(Some))
        },
    );
    view! {
        <Transition fallback=|| view! { <p class="working" role="status">"Looking at the photo…"</p> }>
            {move || {
                let (answer, board) = (answer.get(), board.get());
                answer.zip(board).map(|(answer, board)| match (answer.0, board.0) {
                    (Ok(None), _) => ().into_any(),
                    (Ok(Some(predictions)), Ok(board)) => {
                        view! { <Outputs key=key.get_untracked() predictions board/> }.into_any()
                    }
                    (Err(sentence), _) | (_, Err(sentence)) => failed(sentence).into_any(),
                })
            }}
        </Transition>
    }
}
