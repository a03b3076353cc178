//! The queue of jobs with its workers, and the form that adds to it. They depend on who asks and are never kept; their
//! forms work without WebAssembly.

use super::runs::duration;
use super::said::{Said, told};
use super::{Address, Board, Page};
use maud::{Markup, html};
use std::sync::Arc;
use virboard_core::explorer::date_of;
use virboard_core::people::{Person, Role};
use virboard_core::queue::{Grid, Job, Plan, Worker};
use virboard_core::words::counted;

/// Jobs that have ended of which the page tells.
const ENDED: usize = 100;

/// What the queue's page shows.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    /// All jobs in the order in which they are listed.
    pub jobs: Vec<Job>,
    /// The workers.
    pub workers: Vec<Worker>,
    /// Now, in seconds since 1970, UTC.
    pub now: i64,
}

/// What the form of new evaluations shows.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// What there is to choose from.
    pub board: Arc<Board>,
    /// The plan of what is chosen, or why there is none.
    pub plan: Option<Result<Plan, String>>,
}

/// What `done` in the address stands for: the server leads there after a form.
const DONE: [(&str, &str); 5] = [
    ("launch", "The jobs wait for a worker."),
    ("cancel", "The job is cancelled; a running one stops within seconds."),
    ("retry", "The job waits again."),
    ("drain", "The worker finishes what it has and takes nothing more."),
    ("resume", "The worker takes jobs again."),
];

fn done(address: &Address) -> Markup {
    html! {
        @if let Some((_, sentence)) = DONE.iter().find(|(what, _)| Some(*what) == address.get("done")) {
            p.done role="status" { (sentence) }
        }
    }
}

/// The page of the queue.
pub fn page(address: &Address, person: &Person, said: Option<&Said>, queue: Option<&Queue>) -> Page {
    let title = "Queue".to_owned();
    let Some(queue) = queue else { return (title, strangers("/queue", person)) };
    let of = |states: &'static [&'static str]| queue.jobs.iter().filter(move |j| states.contains(&&*j.state));
    let (running, waiting) = (of(&["running"]).count(), of(&["queued"]).count());
    let ended: Vec<&Job> = of(&["finished", "failed", "cancelled"]).take(ENDED).collect();
    let body = html! {
        (super::parts::crumbs(&[("/", "Leaderboard"), ("/runs", "runs")], "queue"))
        h1 { "Queue" }
        (told(said))
        (done(address))
        noscript { meta http-equiv="refresh" content="15"; }
        p.lead { (counted(running, "job")) " running, " (waiting) " waiting, " (counted(queue.workers.len(), "worker")) "." }
        @if person.role >= Some(Role::Member) { p { a.call href="/launch" { "New evaluations" } } }
        @if waiting > 0 && queue.workers.iter().all(|w| w.draining || w.job.is_some()) && running == 0 {
            p.caveat { "No worker takes these jobs. Start one with " code { "virboard worker" } " on the same data folder, or the server with " code { "--workers 1" } "." }
        }
        section {
            h2 { "Running and waiting" }
            @if running + waiting == 0 { p.note { "Nothing runs and nothing waits." } }
            @else { (jobs(of(&["running", "queued"]), "Jobs that run or wait", queue, person)) }
        }
        section { h2 { "Workers" } (workers(queue, person)) }
        section {
            h2 { "Ended" }
            @if ended.is_empty() { p.note { "No job has ended yet." } }
            @else { (jobs(ended.into_iter(), "Jobs that have ended", queue, person)) }
            @let all = of(&["finished", "failed", "cancelled"]).count();
            @if all > ENDED { p.note { "The last " (ENDED) " of " (all) ". " a href="/api/v1/jobs" rel="external" { "All as JSON" } "." } }
        }
    };
    (title, body)
}

/// What stands there for whoever may not see the page.
fn strangers(path: &str, person: &Person) -> Markup {
    html! {
        @if person.role.is_some() {
            h1 { "For members" }
            p { "Members of this server start evaluations; you may look at the " a href="/queue" { "queue" } ". An admin can change that." }
        } @else {
            h1 { "Sign in first" }
            p { "Jobs are for people who have an account on this server. " a href={ "/sign-in?back=" (path) } rel="external" { "Sign in" } "." }
        }
    }
}

fn button(text: &str, what: &str, name: &str, title: &str) -> Markup {
    html! {
        form.account.inline method="post" action="/queue" {
            input type="hidden" name="name" value=(name);
            button name="do" value=(what) { (text) span.hidden { " " (title) } }
        }
    }
}

fn jobs<'a>(jobs: impl Iterator<Item = &'a Job>, label: &str, queue: &Queue, person: &Person) -> Markup {
    let (name, role) = (&person.name, person.role);
    html! {
        div.scroller tabindex="0" role="region" aria-label=(label) { table.list {
            thead { tr { @for head in ["Job", "State", "Attempt", "Worker", "Asked by", "Since"] { th scope="col" { (head) } } th scope="col" { span.hidden { "Change" } } } }
            tbody { @for job in jobs { tr {
                th scope="row" { a href={ "/api/v1/jobs/" (job.name) } rel="external" { (job.title) } br; span.note { (job.kind) } }
                td { (state(job)) }
                td { @if job.attempt > 0 { (job.attempt) } }
                td { @if let Some(worker) = &job.worker { (worker) } }
                td { (job.asked_by) }
                td { (since(job, queue.now)) }
                td { @if job.is_in_reach(name, role) {
                    @if job.can_be_cancelled() { (button("Cancel", "cancel", &job.name, &job.title)) }
                    @if job.can_be_retried() { (button("Retry", "retry", &job.name, &job.title)) }
                } }
            } } }
        } }
    }
}

fn state(job: &Job) -> Markup {
    html! {
        span class={ "state " (job.state) } { (job.state) }
        @if let Some(by) = &job.cancel_by { @if job.state == "running" { " " span.note { "asked to stop by " (by) } } }
        @if job.state == "running" && !job.stage.is_empty() {
            br; span.note { (job.stage) @if job.total > 0 { " " (job.done) " of " (job.total) } }
            @if job.total > 0 { " " progress max=(job.total) value=(job.done) aria-label={ "Progress of " (job.title) } {} }
        }
        @if let Some(why) = job.error.as_ref().filter(|_| job.state != "finished") { br; span.note { (why) } }
    }
}

/// Since when a job stands where it does.
fn since(job: &Job, now: i64) -> Markup {
    let at = job.finished_at.or_else(|| job.claimed_at.filter(|_| job.state == "running")).unwrap_or(job.asked_at);
    html! { time title={ (date_of(at)) " UTC" } { (ago(now - at)) } }
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    let mega = bytes as f64 / 1e6;
    if mega < 1000.0 { format!("{mega:.1} MB") } else { format!("{:.1} GB", mega / 1000.0) }
}

fn ago(seconds: i64) -> String {
    format!("{} ago", duration(seconds.max(0) as f64))
}

fn workers(queue: &Queue, person: &Person) -> Markup {
    let title =
        |name: &str| queue.jobs.iter().find(|j| j.name == name).map_or_else(|| name.to_owned(), |j| j.title.clone());
    html! {
        @if queue.workers.is_empty() { p.note { "None is at work. " code { "virboard worker" } " starts one, on this machine or another with the same data folder." } }
        @else { div.scroller tabindex="0" role="region" aria-label="Workers" { table.list {
            thead { tr { @for head in ["Worker", "Machine", "Device", "Pools", "Heard of", "Job"] { th scope="col" { (head) } } th scope="col" { span.hidden { "Change" } } } }
            tbody { @for w in &queue.workers { tr {
                th scope="row" { (w.name) br; span.note { (w.version) } }
                td { (w.host) } td { (w.device) } td { (w.pools) }
                td { (ago(queue.now - w.seen_at)) }
                td { @match &w.job { Some(job) => (title(job)), None if w.draining => "takes nothing more", None => "waits for one" } }
                td { @if person.role >= Some(Role::Admin) {
                    @if w.draining { (button("Resume", "resume", &w.name, &w.name)) } @else { (button("Drain", "drain", &w.name, &w.name)) }
                } }
            } } }
        } } }
    }
}

/// The grid that the query of an address asks for.
#[must_use]
pub fn grid(address: &Address) -> Grid {
    let list = |key: &str| -> Vec<String> {
        address
            .get(key)
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|k| !k.is_empty())
            .map(str::to_owned)
            .collect()
    };
    Grid {
        encoders: list("encoders"),
        tasks: list("tasks"),
        seeds: list("seeds").iter().filter_map(|s| s.parse().ok()).collect(),
        probes: address.get("probes").is_some(),
        priority: address.get("priority").and_then(|p| p.parse().ok()).unwrap_or_default(),
        again: address.get("again").is_some(),
    }
}

/// The page of new evaluations: first the plan, then the click.
pub fn launch(address: &Address, person: &Person, said: Option<&Said>, launch: Option<&Launch>) -> Page {
    let title = "New evaluations".to_owned();
    let Some(launch) = launch else { return (title, strangers("/launch", person)) };
    let (chosen, catalogue) = (grid(address), &launch.board.catalogue);
    let here = |key: &str| launch.board.state(key).is_some_and(|s| s.weights);
    let encoders: Vec<(&str, &str)> =
        catalogue.encoders().iter().filter(|e| here(&e.key)).map(|e| (&*e.key, &*e.name)).collect();
    let body = html! {
        (super::parts::crumbs(&[("/", "Leaderboard"), ("/queue", "queue")], "new evaluations"))
        h1 { "New evaluations" }
        (told(said))
        p.lead { "Heads are trained on frozen encoders and scored, a job for each encoder and task. Nothing begins before you have seen the plan." }
        @if let Some(plan) = &launch.plan { (planned(plan, &chosen)) }
        form.launch method="get" action="/launch" {
            fieldset { legend { "Encoders whose weights are here" } (boxes("encoders", &encoders, &chosen.encoders)) }
            @for (i, suite) in catalogue.suites().iter().enumerate() {
                @let tasks = catalogue.tasks_of(&suite.key);
                @let tasks: Vec<(&str, &str)> = tasks.iter().map(|t| (&*t.key, &*t.name)).collect();
                @let open = if chosen.tasks.is_empty() { i == 0 } else { tasks.iter().any(|t| chosen.tasks.iter().any(|c| c == t.0)) };
                @if !tasks.is_empty() { details open[open] {
                    summary { "Tasks of " (suite.name) " (" (tasks.len()) ")" }
                    (boxes("tasks", &tasks, &chosen.tasks))
                } }
            }
            div.launch-more {
                label { "Seeds, separated by commas" input name="seeds" inputmode="numeric" pattern="[0-9, ]*" value=(address.get("seeds").unwrap_or("0")); }
                label { "Priority, the highest first" input name="priority" type="number" min="-100" max="100" value=(chosen.priority); }
                label.tick { input type="checkbox" name="probes" value="1" checked[chosen.probes]; " Neighbours and a regression, too" }
                label.tick { input type="checkbox" name="again" value="1" checked[chosen.again]; " Do again what has scores" }
            }
            p { button type="submit" { "Show the plan" } }
        }
    };
    (title, body)
}

fn boxes(name: &str, all: &[(&str, &str)], chosen: &[String]) -> Markup {
    html! { div.boxes { @for (key, title) in all {
        label.tick { input type="checkbox" name=(name) value=(key) checked[chosen.iter().any(|c| c == key)]; " " (title) }
    } } }
}

fn planned(plan: &Result<Plan, String>, chosen: &Grid) -> Markup {
    let seeds: Vec<String> = chosen.seeds.iter().map(u64::to_string).collect();
    let fields = [
        ("encoders", chosen.encoders.join(",")),
        ("tasks", chosen.tasks.join(",")),
        ("seeds", seeds.join(",")),
        ("probes", if chosen.probes { "1" } else { "" }.to_owned()),
        ("priority", chosen.priority.to_string()),
        ("again", if chosen.again { "1" } else { "" }.to_owned()),
    ];
    html! {
        section.plan aria-label="Plan" {
            @match plan {
                Err(why) => p.problem role="alert" { (why) },
                Ok(plan) => {
                    h2 { "Plan" }
                    p { strong { (counted(plan.jobs.len(), "job")) } ", about " strong { (duration(plan.seconds)) } " of one worker if nothing is there yet, and "
                        strong { (size(plan.bytes)) } " of features that are kept."
                        @if plan.waiting > 0 { " " (plan.waiting) " of them wait or run already and stay as they are." } }
                    @for missing in &plan.missing { p.caveat { (missing) } }
                    details { summary { "Each job" } ul { @for (_, title) in &plan.jobs { li { (title) } } } }
                    form.account.inline method="post" action="/launch" {
                        @for (name, value) in &fields { @if !value.is_empty() { input type="hidden" name=(name) value=(value); } }
                        button type="submit" { "Put " (counted(plan.jobs.len(), "job")) " into the queue" }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, state: &str, by: &str) -> Job {
        Job {
            name: name.to_owned(),
            title: format!("{name} on x"),
            state: state.to_owned(),
            asked_by: by.to_owned(),
            ..Job::default()
        }
    }

    fn seen_by(name: &str, role: Option<Role>) -> String {
        let jobs = vec![
            Job {
                stage: "training".into(),
                done: 3,
                total: 10,
                attempt: 2,
                worker: Some("w".into()),
                ..job("a", "running", "anna")
            },
            job("b", "queued", "bert"),
            Job { error: Some("the disk is full".into()), ..job("c", "failed", "anna") },
        ];
        let queue =
            role.map(|_| Queue { jobs, workers: vec![Worker { name: "w".into(), ..Worker::default() }], now: 90 });
        let person = Person { name: name.to_owned(), role, user: true };
        page(&Address::new("/queue", ""), &person, None, queue.as_ref()).1.into_string()
    }

    #[test]
    fn whoever_asks_sees_the_buttons_that_they_may_press() {
        let count = |html: &str, what: &str| html.matches(&format!("value=\"{what}\"")).count();
        let member = seen_by("anna", Some(Role::Member));
        assert_eq!(["cancel", "retry", "drain"].map(|b| count(&member, b)), [1, 1, 0], "one's own alone");
        let admin = seen_by("carl", Some(Role::Admin));
        assert_eq!(["cancel", "retry", "drain"].map(|b| count(&admin, b)), [2, 1, 1]);
        let viewer = seen_by("anna", Some(Role::Viewer));
        assert!(count(&viewer, "cancel") == 0 && !viewer.contains("/launch") && viewer.contains("the disk is full"));
        assert!(viewer.contains("training 3 of 10"));
        let nobody = seen_by("", None);
        assert!(nobody.contains("/sign-in?back=/queue") && !nobody.contains("on x"), "{nobody}");
    }

    #[test]
    fn a_grid_is_read_from_the_address_and_travels_on_to_the_click() {
        let address = Address::new("/launch", "encoders=A&encoders=B&tasks=T&seeds=0, 1,x&probes=1&priority=-2");
        let chosen = grid(&address);
        assert_eq!(
            (chosen.encoders.len(), &chosen.seeds[..], chosen.probes, chosen.priority, chosen.again),
            (2, &[0, 1][..], true, -2, false)
        );
        let plan = Plan { jobs: vec![("n".into(), "A on T".into())], seconds: 3700.0, ..Plan::default() };
        let html = planned(&Ok(plan), &chosen).into_string();
        assert!(
            html.contains("value=\"A,B\"") && html.contains("name=\"seeds\" value=\"0,1\"") && html.contains("A on T"),
            "{html}"
        );
        assert!(!html.contains("name=\"again\""), "{html}");
        assert!(planned(&Err("no data".into()), &chosen).into_string().contains("role=\"alert\""));
    }
}
