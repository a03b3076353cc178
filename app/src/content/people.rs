//! Pages about whoever asks: signing in, the own account, users for admins. They are written for one request and
//! never kept; their forms work without WebAssembly.

use super::queue::{self, Launch, Queue};
use super::said::{Said, told};
use super::{Address, Page};
use crate::api::Content;
use maud::{Markup, html};
use virboard_core::people::{Person, Role, Token, User};
use virboard_core::words::day;

/// What pages about a person are made of.
#[derive(Debug, Clone, Default)]
pub struct Personal {
    /// Who asks.
    pub person: Person,
    /// What came of the form that was sent.
    pub said: Option<Said>,
    /// All users, for admins.
    pub users: Vec<User>,
    /// One's own tokens; all, for admins.
    pub tokens: Vec<Token>,
    /// The queue, for its page and for whoever may see it.
    pub queue: Option<Queue>,
    /// New evaluations, for their page and for whoever may ask for them.
    pub launch: Option<Launch>,
}

/// What `done` in the address of the account stands for: the server leads there after a form.
const DONE: [(&str, &str); 7] = [
    ("password", "The password is changed, and all your other sessions have ended."),
    ("revoke", "The token is revoked."),
    ("user", "The user is added."),
    ("role", "The role is changed, and the user's sessions have ended."),
    ("reset", "The password is set, and the user's sessions have ended."),
    ("disable", "The user is disabled; their sessions and tokens have ended."),
    ("enable", "The user may sign in again."),
];

/// A page about a person.
struct Route {
    path: &'static str,
    write: fn(&Address, &Personal) -> Page,
}

/// Every page about a person.
static ROUTES: [Route; 5] = [
    Route { path: "/sign-in", write: sign_in },
    Route { path: "/account", write: account },
    Route { path: "/first-admin", write: first_admin },
    Route { path: "/queue", write: |a, f| queue::page(a, &f.person, f.said.as_ref(), f.queue.as_ref()) },
    Route { path: "/launch", write: |a, f| queue::launch(a, &f.person, f.said.as_ref(), f.launch.as_ref()) },
];

fn route(address: &Address) -> Option<&'static Route> {
    let path = address.path.strip_suffix('/').unwrap_or(&address.path);
    ROUTES.iter().find(|r| r.path == path)
}

/// Whether the page at an address is about a person, so that it must not be kept.
#[must_use]
pub fn is_personal(address: &Address) -> bool {
    route(address).is_some()
}

/// The page about a person at an address.
#[must_use]
pub fn personal(address: &Address, facts: &Personal) -> Content {
    let page = route(address).map(|r| (r.write)(address, facts));
    let found = page.is_some();
    let (title, body) = page.unwrap_or_default();
    Content { title, html: body.into_string(), found }
}

/// A field with its label above.
fn field(label: &str, name: &str, kind: &str, complete: &str) -> Markup {
    html! {
        label { (label) input name=(name) type=(kind) autocomplete=(complete) autocapitalize="none" required maxlength="128"; }
    }
}

fn new_password(label: &str, name: &str) -> Markup {
    html! {
        label { (label) input name=(name) type="password" autocomplete="new-password" required minlength="12" maxlength="128"; }
    }
}

fn roles(label: Markup, most: Role, present: Role) -> Markup {
    html! {
        label {
            (label)
            select name="role" {
                @for role in Role::ALL.into_iter().filter(|r| *r <= most) {
                    option value=(role.name()) selected[role == present] { (role.name()) }
                }
            }
        }
    }
}

fn sign_in(address: &Address, facts: &Personal) -> Page {
    let body = html! {
        h1 { "Sign in" }
        (told(facts.said.as_ref()))
        @if facts.person.role.is_some() && !facts.person.user {
            p { "This server listens to this machine alone and has no users, so that nobody has to sign in. See " a href="/account" { "your account" } "." }
        } @else {
            @if facts.person.user { p { "You are signed in as " strong { (facts.person.name) } "." } }
            form.account method="post" action="/sign-in" {
                input type="hidden" name="back" value=(address.get("back").unwrap_or_default());
                (field("Name", "name", "text", "username"))
                (field("Password", "password", "password", "current-password"))
                button type="submit" { "Sign in" }
            }
            p.note { "The leaderboard, the analyses and trying a photo need no account. Admins of this server make accounts." }
        }
    };
    ("Sign in".to_owned(), body)
}

fn first_admin(address: &Address, facts: &Personal) -> Page {
    let body = html! {
        h1 { "The first admin" }
        (told(facts.said.as_ref()))
        @if let Some(link) = address.get("link") {
            p { "This link makes the first admin of this server, once. Choose a name and a password of 12 characters or more, such as four words." }
            form.account method="post" action="/first-admin" {
                input type="hidden" name="link" value=(link);
                (field("Name", "name", "text", "username"))
                (new_password("Password", "password"))
                button type="submit" { "Make the first admin" }
            }
        } @else {
            p { "Open the whole link that " code { "virboard serve" } " printed when it started." }
        }
    };
    ("The first admin".to_owned(), body)
}

fn account(address: &Address, facts: &Personal) -> Page {
    let Some(role) = facts.person.role else {
        let body = html! {
            h1 { "Account" }
            p { "Nobody is signed in. " a href="/sign-in?back=/account" rel="external" { "Sign in" } "." }
        };
        return ("Account".to_owned(), body);
    };
    let body = html! {
        h1 { "Account" }
        (told(facts.said.as_ref()))
        @if let Some((_, sentence)) = DONE.iter().find(|(what, _)| Some(*what) == address.get("done")) {
            p.done role="status" { (sentence) }
        }
        @if facts.person.user {
            form.account.inline method="post" action="/sign-out" {
                p { "You are " strong { (facts.person.name) } ", " (role.name()) "." }
                button type="submit" { "Sign out" }
            }
            (tokens(facts, role))
            (own_password())
        } @else {
            p { "This server listens to this machine alone and has no users: whoever uses this machine may do everything. To let others in, add an admin first; from then on everybody signs in." }
        }
        @if role >= Role::Admin { (users(facts)) }
    };
    ("Account".to_owned(), body)
}

/// A button that does something with one thing.
fn button(text: &str, what: &str, name: &str, of: &str) -> Markup {
    html! {
        form.account.inline method="post" action="/account" {
            input type="hidden" name=(name) value=(of);
            button name="do" value=(what) { (text) span.hidden { " " (of) } }
        }
    }
}

fn tokens(facts: &Personal, role: Role) -> Markup {
    html! {
        h2 { "Tokens" }
        p.note { "A token lets a program of yours do what you may, up to the role that you give it. The server keeps a hash alone." }
        @if !facts.tokens.is_empty() {
            div.scroller tabindex="0" role="region" aria-label="Tokens" { table.list {
                thead { tr { th scope="col" { "For" } th scope="col" { "Begins with" } th scope="col" { "User" } th scope="col" { "Role" } th scope="col" { "Made" } th scope="col" { "Used" } th scope="col" { "Ends" } th scope="col" { span.hidden { "Revoke" } } } }
                tbody { @for t in &facts.tokens { tr {
                    td { (t.name) } td { code { (t.prefix) } } td { (t.user) } td { (t.role.name()) } td { (day(t.created_at)) } td { (day(t.seen_at)) }
                    td { @match t.expires_at { Some(at) => (day(at)), None => "never" } }
                    td { (button("Revoke", "revoke", "prefix", &t.prefix)) }
                } } }
            } }
        }
        form.account method="post" action="/account" {
            (field("What the new token is for", "label", "text", "off"))
            (roles(html! { "It may do what this role may" }, role, role))
            label { "Days that it is good for (empty: without end)" input name="days" type="number" min="1" max="3650" value="90"; }
            button name="do" value="token" { "Make a token" }
        }
    }
}

fn own_password() -> Markup {
    html! {
        h2 { "Password" }
        form.account method="post" action="/account" {
            (field("Present password", "present", "password", "current-password"))
            (new_password("New password, 12 characters or more", "password"))
            button name="do" value="password" { "Change the password" }
        }
        p.note { "All your sessions end; tokens stay." }
    }
}

fn users(facts: &Personal) -> Markup {
    html! {
        h2 { "Users" }
        @if !facts.users.is_empty() {
            div.scroller tabindex="0" role="region" aria-label="Users" { table.list {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Role" } th scope="col" { "Since" } th scope="col" { "Password" } th scope="col" { "May sign in" } } }
                tbody { @for u in &facts.users { tr {
                    td { (u.name) }
                    td { form.account.inline method="post" action="/account" {
                        input type="hidden" name="name" value=(u.name);
                        (roles(html! { span.hidden { "Role of " (u.name) } }, Role::Admin, u.role))
                        button name="do" value="role" { "Change" span.hidden { " the role of " (u.name) } }
                    } }
                    td { (day(u.created_at)) }
                    td { details { summary { @if u.password { "Reset" } @else { "Give one" } span.hidden { " to " (u.name) } }
                        form.account method="post" action="/account" {
                            input type="hidden" name="name" value=(u.name);
                            (new_password("New password", "password"))
                            button name="do" value="reset" { "Set" span.hidden { " the password of " (u.name) } }
                        }
                    } }
                    td { @if u.disabled { "no " (button("Enable", "enable", "name", &u.name)) } @else { "yes " (button("Disable", "disable", "name", &u.name)) } }
                } } }
            } }
        }
        form.account method="post" action="/account" {
            (field("Name of the new user", "name", "text", "off"))
            (roles(html! { "Role" }, Role::Admin, if facts.users.is_empty() { Role::Admin } else { Role::Viewer }))
            (new_password("Password", "password"))
            button name="do" value="user" { "Add the user" }
        }
        p.note { "Viewers read runs and jobs, members start them and change their own, admins change everything. Disabling ends sessions and tokens at once." }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, query: &str, facts: &Personal) -> String {
        let address = Address::new(path, query);
        assert!(is_personal(&address), "{path}");
        personal(&address, facts).html
    }

    #[test]
    fn what_people_wrote_is_never_markup() {
        let attack = "\"><script>alert(1)</script>";
        let token = Token {
            prefix: attack.into(),
            name: attack.into(),
            user: attack.into(),
            role: Role::Admin,
            created_at: 0,
            seen_at: 0,
            expires_at: Some(1),
        };
        let user = User { name: attack.into(), role: Role::Admin, disabled: true, password: false, created_at: 0 };
        let person = Person { name: attack.into(), role: Some(Role::Admin), user: true };
        let query = "back=%22%3E%3Cscript%3E&link=%22%3E%3Cscript%3E";
        for said in [Said::Refused(attack.into()), Said::Token(attack.into())] {
            let facts = Personal {
                person: person.clone(),
                said: Some(said),
                users: vec![user.clone()],
                tokens: vec![token.clone()],
                ..Personal::default()
            };
            for path in ["/sign-in", "/account/", "/first-admin"] {
                let html = at(path, query, &facts);
                assert!(html.contains("<form") && !html.contains("<script"), "{path}: {html}");
            }
        }
    }

    #[test]
    fn users_are_shown_to_admins_alone() {
        let user = User { name: "anna".into(), role: Role::Admin, disabled: false, password: true, created_at: 0 };
        for (role, shown) in
            [(None, false), (Some(Role::Viewer), false), (Some(Role::Member), false), (Some(Role::Admin), true)]
        {
            let person = Person { name: "bert".into(), role, user: role.is_some() };
            let html = at("/account", "", &Personal { person, users: vec![user.clone()], ..Personal::default() });
            assert_eq!(html.contains("anna"), shown, "{role:?}");
        }
        assert!(!is_personal(&Address::new("/", "")) && !is_personal(&Address::new("/accounts", "")));
    }
}
