//! How tasks are scored: a row a metric. What a score is computed from is a row of
//! `virboard_lab::score::metric`.

use serde::{Deserialize, Serialize};

/// How a task is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Share of images whose most probable class is right.
    #[serde(rename = "top-1")]
    Top1,
    /// Mean over classes of intersection over union.
    MeanIou,
    /// Intersection over union of one class.
    Iou,
    /// Mean absolute error.
    L1,
    /// Share of pixels whose flow is right.
    FlowAccuracy,
    /// Mean length of the flow's error.
    EndpointError,
}

/// Which scores are the better ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Larger ones.
    HigherIsBetter,
    /// Smaller ones.
    LowerIsBetter,
}

/// How a score is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A share from 0 to 1, in percent with so many decimals.
    Percent(usize),
    /// A number in the task's unit, with so many decimals.
    Number(usize),
}

/// What is known of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    name: &'static str,
    help: &'static str,
    direction: Direction,
    form: Form,
}

impl Metric {
    /// The table: a row a metric.
    const fn row(self) -> Row {
        use Direction::{HigherIsBetter, LowerIsBetter};
        match self {
            Self::Top1 => Row {
                name: "top-1",
                help: "Share of test images whose most probable class is the right one. Higher is better.",
                direction: HigherIsBetter,
                form: Form::Percent(1),
            },
            Self::MeanIou => Row {
                name: "mIoU",
                help: "Overlap of predicted and true areas (intersection over union) of each class over the whole test set, averaged over classes. Higher is better.",
                direction: HigherIsBetter,
                form: Form::Percent(1),
            },
            Self::Iou => Row {
                name: "IoU",
                help: "Overlap of the predicted and the true area (intersection over union). Higher is better.",
                direction: HigherIsBetter,
                form: Form::Percent(1),
            },
            Self::L1 => Row {
                name: "L1 error",
                help: "Mean absolute error over all test pixels. Lower is better.",
                direction: LowerIsBetter,
                form: Form::Number(3),
            },
            Self::FlowAccuracy => Row {
                name: "accuracy",
                help: "Share of labelled pixels whose flow is off by at most 3 pixels or 5 % (ViRB: whose grey value is off by at most 0.05). Higher is better.",
                direction: HigherIsBetter,
                form: Form::Percent(1),
            },
            Self::EndpointError => Row {
                name: "endpoint error",
                help: "Mean distance between the predicted and the true end of each pixel's motion. Lower is better.",
                direction: LowerIsBetter,
                form: Form::Number(3),
            },
        }
    }

    /// Short name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// One sentence for people who meet the metric for the first time.
    #[must_use]
    pub const fn help(self) -> &'static str {
        self.row().help
    }

    /// Whether a larger score is a better one.
    #[must_use]
    pub const fn higher_is_better(self) -> bool {
        matches!(self.row().direction, Direction::HigherIsBetter)
    }

    /// What a score is multiplied by so that more is better: 1 or -1.
    #[must_use]
    pub const fn sign(self) -> f64 {
        match self.row().direction {
            Direction::HigherIsBetter => 1.0,
            Direction::LowerIsBetter => -1.0,
        }
    }

    /// Whether a score is better than another.
    #[must_use]
    pub fn is_better(self, score: f64, than: f64) -> bool {
        self.sign() * score > self.sign() * than
    }

    /// Whether the score is a share, shown in percent.
    #[must_use]
    pub const fn is_share(self) -> bool {
        matches!(self.row().form, Form::Percent(_))
    }

    /// The score as people read it, without its unit.
    #[must_use]
    pub fn format(self, score: f64) -> String {
        match self.row().form {
            Form::Percent(digits) => format!("{:.digits$}", 100.0 * score),
            Form::Number(digits) => format!("{score:.digits$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_what_the_help_says() {
        use Metric::{EndpointError, FlowAccuracy, Iou, L1, MeanIou, Top1};
        for metric in [Top1, MeanIou, Iou, L1, FlowAccuracy, EndpointError] {
            let said = metric.help().ends_with("Higher is better.");
            assert!(said || metric.help().ends_with("Lower is better."), "{}", metric.name());
            assert_eq!(metric.higher_is_better(), said, "{}", metric.name());
            assert_eq!(metric.is_better(0.7, 0.6), said && metric.sign() > 0.0, "{}", metric.name());
            assert!(!metric.is_better(0.6, 0.6) && !metric.is_better(f64::NAN, 0.6));
        }
        assert_eq!((Top1.format(0.1234), L1.format(0.1234)), ("12.3".to_owned(), "0.123".to_owned()));
    }
}
