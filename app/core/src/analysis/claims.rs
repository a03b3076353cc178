//! The claims of the paper's authors as checks on the present scores.

mod evidence;
mod reference;

use super::Matrix;
use super::report::{Analysis, Table, Verdict};
use evidence::Outcome;

/// A claim and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What is claimed.
    pub claim: &'static str,
    /// What the scores say.
    pub verdict: Verdict,
    /// The numbers behind it, or what is missing.
    pub evidence: String,
}

struct Claim {
    text: &'static str,
    needs: &'static str,
    check: By,
}

/// What decides a claim.
enum By {
    /// The scores, whoever they are of.
    Points(fn(&Matrix) -> Outcome),
    /// The scores of encoders whose training is known.
    Scores(fn(&Matrix) -> Outcome),
    /// The mean agreement of early and late layers of MoCo v2 and of SwAV encoders.
    Layers(fn(f64, f64) -> (bool, String)),
}

const CLAIMS: [Claim; 14] = [
    Claim {
        text: "30 encoders by four methods on 20 tasks, more than 500 experiments.",
        needs: "scores of all 30 encoders on all 20 tasks",
        check: By::Scores(evidence::complete),
    },
    Claim {
        text: "ImageNet scores correlate well with CalTech and CIFAR-100 and badly with depth.",
        needs: "eight encoders with ImageNet, CalTech or CIFAR-100, and a depth task",
        check: By::Points(evidence::proxy),
    },
    Claim {
        text: "Some tasks correlate negatively with ImageNet.",
        needs: "ten encoders with ImageNet and other tasks",
        check: By::Points(evidence::negative),
    },
    Claim {
        text: "ImageNet trains the best encoders for semantic tasks, Places for structural ones.",
        needs: "MoCo v2 or SwAV at 200 epochs on ImageNet and Places, and Supervised",
        check: By::Scores(evidence::semantic_structural),
    },
    Claim {
        text: "An encoder trained on images like the task’s beats the others.",
        needs: "two encoders at 200 epochs on CalTech, Kinetics, SUN397 or Taskonomy Depth",
        check: By::Scores(evidence::similar),
    },
    Claim {
        text: "Training on a combination of data sets is good everywhere and best nowhere.",
        needs: "Combination encoders and their single-set siblings on three tasks",
        check: By::Scores(evidence::combination),
    },
    Claim {
        text: "Strongly unbalanced classes do no harm.",
        needs: "a quarter of ImageNet, balanced and logarithmic, on five tasks",
        check: By::Scores(evidence::imbalance),
    },
    Claim {
        text: "MoCo v2 is better on pixel-wise tasks, SwAV on image-level semantic ones; each wins about half.",
        needs: "MoCo v2 and SwAV with the same data on both kinds of tasks",
        check: By::Scores(evidence::methods),
    },
    Claim {
        text: "Early and late layers of MoCo v2 are more alike than those of SwAV.",
        needs: "CKA of MoCo v2 and SwAV encoders (virboard cka --keep)",
        check: By::Layers(evidence::early_and_late),
    },
    Claim {
        text: "The best self-supervised encoder beats Supervised on all tasks but ImageNet, ImageNet v2 and Pets.",
        needs: "Supervised and others on five tasks, ImageNet or Pets among them",
        check: By::Points(evidence::best),
    },
    Claim {
        text: "On structural tasks nearly all encoders beat Supervised, on others only some.",
        needs: "Supervised and five others on structural and semantic tasks",
        check: By::Points(evidence::structural),
    },
    Claim {
        text: "SwAV trained on ImageNet beats Supervised on more than three quarters of the tasks.",
        needs: "SwAV ImageNet 800 and Supervised on eight tasks",
        check: By::Scores(evidence::swav),
    },
    Claim {
        text: "Most winners were trained on ImageNet or Places.",
        needs: "two encoders on each of five tasks, with different training data",
        check: By::Scores(evidence::winners),
    },
    Claim {
        text: "Start with SwAV ImageNet 800; for structural tasks with Places.",
        needs: "mean ranks with SwAV ImageNet 800, and a Places encoder on structural tasks",
        check: By::Scores(evidence::advice),
    },
];

/// All claims; `layers` is the mean agreement of early and late layers of MoCo v2 and of SwAV
/// encoders, where it was measured.
#[must_use]
pub fn checks(matrix: &Matrix, layers: Option<(f64, f64)>) -> Vec<Check> {
    let one = |c: &Claim| {
        let outcome = match c.check {
            By::Points(check) | By::Scores(check) => check(matrix),
            By::Layers(check) => layers.map(|(moco, swav)| check(moco, swav)),
        };
        c.judged(outcome, || format!("Needed: {}.", c.needs))
    };
    CLAIMS.iter().map(one).collect()
}

/// The same of the paper's published points, which are anonymous: most claims cannot be checked on them.
#[must_use]
pub fn on_published_points() -> Vec<Check> {
    let points = reference::points();
    let one = |c: &Claim| match c.check {
        By::Points(check) => c.judged(check(&points), || format!("Needed: {}.", c.needs)),
        By::Scores(_) | By::Layers(_) => c.judged(None, || "The points do not say whose they are.".to_owned()),
    };
    CLAIMS.iter().map(one).collect()
}

impl Claim {
    fn judged(&self, outcome: Outcome, lack: impl FnOnce() -> String) -> Check {
        let (verdict, evidence) = match outcome {
            Some((true, evidence)) => (Verdict::Supported, evidence),
            Some((false, evidence)) => (Verdict::Contradicted, evidence),
            None => (Verdict::NotEnough, lack()),
        };
        Check { claim: self.text, verdict, evidence }
    }
}

/// As a table.
#[must_use]
pub fn analysis(matrix: &Matrix, layers: Option<(f64, f64)>) -> Analysis {
    let (here, points) = (checks(matrix, layers), on_published_points());
    let mut table = Table::new(&["claim", "here", "numbers", "the paper’s points", "their numbers"]);
    for (c, p) in here.iter().zip(&points) {
        table.row([c.claim, c.verdict.name(), &c.evidence, p.verdict.name(), &p.evidence]);
        table.judge(1, c.verdict);
        table.judge(3, p.verdict);
    }
    let findings = vec![counts("Here", &here), counts("On the paper’s published points", &points)];
    Analysis { findings, table, ..Analysis::default() }
}

fn counts(of: &str, checks: &[Check]) -> String {
    let count = |v: Verdict| checks.iter().filter(|c| c.verdict == v).count();
    format!(
        "{of}: {} supported, {} contradicted, {} without enough data.",
        count(Verdict::Supported),
        count(Verdict::Contradicted),
        count(Verdict::NotEnough)
    )
}
