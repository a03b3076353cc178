//! Which encoders have seen a task's images while they were trained.

use crate::catalogue::encoder::Pretraining;

/// Whether images of the task's data set were in the encoder's training data, as far as the
/// names of both tell: scores on them say less about new images. ImageNet v2 was collected
/// anew; SUN397 and Places come from overlapping searches.
#[must_use]
pub fn seen(pretraining: Pretraining, task: &str) -> bool {
    use Pretraining::{
        Combination, HalfImageNet, ImageNet, Kinetics, LinearImageNet, LogImageNet, Places, QuarterImageNet, Taskonomy,
    };
    match task {
        "Imagenet" => matches!(
            pretraining,
            ImageNet | HalfImageNet | QuarterImageNet | LinearImageNet | LogImageNet | Combination
        ),
        "KineticsActionPrediction" => matches!(pretraining, Kinetics | Combination),
        "SUN397" => matches!(pretraining, Places | Combination),
        "TaskonomyDepth" => matches!(pretraining, Taskonomy | Combination),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::task;

    #[test]
    fn own_data_is_marked_and_nothing_else() {
        for key in ["Imagenet", "KineticsActionPrediction", "SUN397", "TaskonomyDepth"] {
            assert!(task(key).is_some(), "{key}");
            assert!(seen(Pretraining::Combination, key) && !seen(Pretraining::Nothing, key));
        }
        assert!(seen(Pretraining::LogImageNet, "Imagenet") && !seen(Pretraining::Places, "Imagenet"));
        assert!(!seen(Pretraining::ImageNet, "Imagenetv2"));
    }
}
