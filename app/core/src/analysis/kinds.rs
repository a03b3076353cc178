//! What can be asked: a row an analysis. Those that are figures of the paper are below, a file a
//! kind; a new one is such a file and a row.

mod category;
mod correlation;
mod epochs;
mod fine_tuned;
mod imbalance;
mod pairs;
mod scale;
mod telling;

use super::options::Options;
use super::report::Analysis;
use super::{Matrix, alignment, claims, contrast, order};
pub use correlation::matrix as correlations;

/// An analysis that can be asked for.
pub struct Kind {
    /// Its name in addresses.
    pub slug: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it asks, for people.
    pub question: &'static str,
    /// How it is computed.
    pub definition: &'static str,
    /// Where the paper has it.
    pub source: &'static str,
    /// Its options: the x axis, ranks, the published layer.
    pub options: &'static [&'static str],
    /// Computes it.
    pub compute: fn(&Matrix, &Options) -> Analysis,
}

/// All analyses, in the order in which they are listed.
pub static KINDS: &[Kind] = &[
    Kind {
        slug: "claims",
        title: "The paper’s claims, checked",
        question: "Which of the paper’s 14 claims do the scores on this server support?",
        definition: "Each claim is a test on the present scores. Its verdict is supported, contradicted, or not enough data, with the numbers behind it. Beside it stands the same test on the points that were read off the paper’s figure, for claims that do not ask whose they are.",
        source: "The authors’ text",
        options: &[],
        compute: |m, o| claims::analysis(m, alignment::early_late(&o.alignments, &o.catalogue)),
    },
    Kind {
        slug: "imagenet",
        title: "Every task against ImageNet",
        question: "Does a better ImageNet score mean a better score elsewhere?",
        definition: "A point an encoder, a line by least squares with its 95 % band, Pearson’s r and its p, a panel a category; fewer than 8 points have neither. Below 30 encoders p is the share of orders (all of up to 8, 10,000 random ones of more) with an r as strong. Errors are turned round, so that up is better. ViRB’s figure keeps encoders above 40 % on ImageNet only; so does this one on that axis.",
        source: "Figure 4",
        options: &["x", "reference"],
        compute: correlation::against,
    },
    Kind {
        slug: "correlation",
        title: "Which tasks agree?",
        question: "Do encoders that are good at one task tend to be good at another?",
        definition: "Correlation over all encoders that have both tasks, at least 8, Pearson’s of scores or Spearman’s of ranks; errors turned round. p as for tasks against ImageNet. Similar tasks stand side by side (average linkage on 1 - r).",
        source: "Supplement",
        options: &["ranks"],
        compute: correlation::heat,
    },
    Kind {
        slug: "supervised",
        title: "The best encoder against Supervised",
        question: "How much better than supervised ImageNet features can one do on each task?",
        definition: "100 (best - supervised) / |supervised| of the best other encoder, errors turned round. Colours tell the best encoder’s training data.",
        source: "Figure 3",
        options: &["reference"],
        compute: pairs::against_supervised,
    },
    Kind {
        slug: "methods",
        title: "MoCo v2 against SwAV",
        question: "Which method is better for which task?",
        definition: "100 (mean of MoCo v2 - mean of SwAV) / |mean of SwAV| over encoders trained for 200 epochs on full-size data sets that both methods have, errors turned round; ViRB’s filter lets MoCo v1 in, this one does not.",
        source: "Figure 5",
        options: &[],
        compute: pairs::methods,
    },
    Kind {
        slug: "categories",
        title: "Scores by category",
        question: "In which kinds of tasks do encoders beat supervised features?",
        definition: "(score - supervised) / population standard deviation of the task, for MoCo v2 and SwAV trained for 200 epochs at full size; zero is supervised. Violins by Scott’s kernel.",
        source: "Figure 6",
        options: &[],
        compute: category::by_category,
    },
    Kind {
        slug: "datasets",
        title: "Scores by training data",
        question: "Which data set trains the best encoder?",
        definition: "As scores by category, grouped by the data set of training, a panel a category.",
        source: "Supplement",
        options: &[],
        compute: category::by_dataset,
    },
    Kind {
        slug: "similar",
        title: "Training data like the task’s",
        question: "Does it help to train on images like those of the task?",
        definition: "Scores of MoCo v2 and SwAV trained for 200 epochs at full size on the task with similar images: CalTech and ImageNet, Kinetics and Kinetics, SUN397 and Places, Taskonomy Depth and Taskonomy.",
        source: "Figure 7",
        options: &[],
        compute: imbalance::similar,
    },
    Kind {
        slug: "balance",
        title: "Balanced and unbalanced classes",
        question: "Does self-supervised training need balanced data?",
        definition: "100 (unbalanced - balanced) / |balanced| of equally large data sets, mean of both methods: a quarter against a logarithmic quarter, a half against a linear half, 200 epochs. One-way ANOVA and Kruskal-Wallis on standardised scores, below 30 of them by 10,000 random orders.",
        source: "Figure 8, Table 1",
        options: &[],
        compute: imbalance::balance,
    },
    Kind {
        slug: "training",
        title: "Epochs and size of the data set",
        question: "Do longer training and more data help, and where?",
        definition: "Correlation of each task with epochs (full ImageNet) and with the data set’s size (balanced ImageNet, 200 epochs), over SwAV and MoCo v2, where 8 encoders have a score.",
        source: "Supplement",
        options: &["ranks"],
        compute: scale::training,
    },
    Kind {
        slug: "epochs",
        title: "More epochs",
        question: "Does a ranking of methods change with training?",
        definition: "A line a method and data set through its encoders of one architecture after several numbers of epochs: those kept of one run, and those of runs of their own, whose schedule ended there. Methods with the same data and architecture are compared on every task at the fewest and the most epochs that both have; their order on a task turns where the other one leads afterwards, and firmly so if both leads exceed the 95 % interval of their difference over test samples. Kendall’s τ is 1 minus twice the share of turned orders. Errors are turned round, so that up is better; steps to the right are doublings.",
        source: "The authors’ third open question",
        options: &[],
        compute: |m, _| epochs::more(m),
    },
    Kind {
        slug: "imagenet-v2",
        title: "ImageNet v1 and v2",
        question: "Do scores on the first ImageNet test set carry over to the second?",
        definition: "Points, of 8 or more with their line by least squares, and the drop from v1 to v2.",
        source: "Supplement",
        options: &["reference"],
        compute: scale::versions,
    },
    Kind {
        slug: "first",
        title: "Who comes first, and how often?",
        question: "Which encoder wins the most tasks?",
        definition: "Tasks on which an encoder has the best score of all; several may share one.",
        source: "Supplement",
        options: &[],
        compute: pairs::first,
    },
    Kind {
        slug: "layers",
        title: "Which layers are alike?",
        question: "Do encoders compute the same things, and how early?",
        definition: "Linear CKA of centred features, |Y’X|² / (|X’X| |Y’Y|) in Frobenius norms, of every layer with every other, on the same pictures; within an encoder, between two, and averaged over a method’s encoders. Unlike ViRB’s, both halves of a picture of two encoders are computed.",
        source: "Supplement",
        options: &[],
        compute: |_, o| alignment::analysis(&o.alignments, &o.catalogue),
    },
    Kind {
        slug: "fine-tuned",
        title: "Frozen against fine-tuned",
        question: "Is the best frozen encoder the best to train on?",
        definition: "A point an encoder, a panel a task: the score of the head on frozen features, and of the same head when the whole encoder is trained along; above the line fine-tuning is better. The interval of a difference takes test samples as drawn anew for each of both, so it is rather too wide. Kendall’s τ is 1 minus twice the share of pairs that change places; Spearman’s from 8 encoders on. Errors are turned round, so that up is better. Fine-tuned scores stand here and on the pages of encoders and tasks, and count nowhere else.",
        source: "The authors’ second open question",
        options: &[],
        compute: fine_tuned::against_frozen,
    },
    Kind {
        slug: "contrasts",
        title: "Change one thing only",
        question: "What does a change of method, data, size, balance or epochs bring?",
        definition: "Pairs of encoders that differ in one factor. Mean change over the tasks that both have, in standard deviations of each task over all encoders, with a 95 % interval by bootstrap over tasks (2000 rounds) and a sign test.",
        source: "The paper’s question, asked directly",
        options: &[],
        compute: |m, _| contrast::analysis(m),
    },
    Kind {
        slug: "order",
        title: "What would change the order?",
        question: "How firm is the ranking?",
        definition: "For every two neighbours by mean rank: the smallest improvement of one score that swaps them, and the tasks without which they swap.",
        source: "",
        options: &[],
        compute: |m, _| order::what_would_change(m),
    },
    Kind {
        slug: "tasks",
        title: "Which tasks tell encoders apart?",
        question: "Is a task hard enough, and are its test samples enough?",
        definition: "Of all pairs of encoders with a score and its interval on a task, the share whose difference is more than 1.96 standard errors of a difference; each encoder’s test samples are taken as drawn anew, so it is rather too small. The best encoder has learned something for a task where its 95 % interval and that of random weights do not meet.",
        source: "",
        options: &[],
        compute: |m, _| telling::apart(m),
    },
    Kind {
        slug: "few",
        title: "Which few tasks predict the rest?",
        question: "How many tasks does one have to run?",
        definition: "Tasks are added one by one so that the mean rank over them agrees best (Spearman) with the mean rank over all others.",
        source: "",
        options: &[],
        compute: |m, _| order::few_tasks(m),
    },
];

/// The analysis of this name.
#[must_use]
pub fn kind(slug: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.slug == slug)
}
