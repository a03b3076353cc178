//! The paper's claims on the points of its own figure.

use virboard_core::analysis::Verdict;
use virboard_core::analysis::claims::on_published_points;

#[test]
fn claims_that_need_no_names_are_decided_on_the_published_points() {
    let all = on_published_points();
    assert_eq!(all.len(), 14);
    let decided: Vec<_> = all.iter().filter(|c| c.verdict != Verdict::NotEnough).collect();
    assert_eq!(decided.len(), 4, "{decided:?}");
    // What the authors say of ImageNet as a proxy is what their figure shows.
    let proxy = decided.iter().find(|c| c.claim.starts_with("ImageNet scores correlate well")).expect("decided");
    assert_eq!(proxy.verdict, Verdict::Supported, "{}", proxy.evidence);
}
