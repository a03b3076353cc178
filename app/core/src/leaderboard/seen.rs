//! Which encoders have seen a task's images while they were trained.

use crate::catalogue::encoder::Pretraining;
use crate::catalogue::task::Task;

/// Whether images of the task's data set were in the encoder's training data, as far as the
/// names of both tell: scores on them say less about new images. ImageNet v2 was collected
/// anew; SUN397 and Places come from overlapping searches. An encoder that was declared to be
/// trained on a data set of the task's name has seen it.
#[must_use]
pub fn seen(pretraining: &Pretraining, task: &Task) -> bool {
    let own = matches!(pretraining, Pretraining::Other(name) if name.eq_ignore_ascii_case(&task.dataset));
    own || task.seen.contains(pretraining)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn own_data_is_marked_and_nothing_else() {
        let catalogue = Catalogue::builtin();
        let marked = |p: Pretraining, key: &str| seen(&p, catalogue.task(key).expect("a task"));
        for key in ["Imagenet", "KineticsActionPrediction", "SUN397", "TaskonomyDepth"] {
            assert!(marked(Pretraining::Combination, key) && !marked(Pretraining::Nothing, key), "{key}");
        }
        assert!(marked(Pretraining::LogImageNet, "Imagenet") && !marked(Pretraining::Places, "Imagenet"));
        assert!(marked(Pretraining::Kinetics, "KineticsActionPrediction") && marked(Pretraining::Places, "SUN397"));
        assert!(!marked(Pretraining::ImageNet, "Imagenetv2"));
        let all = catalogue.tasks().iter().filter(|t| !t.seen.is_empty()).count();
        assert_eq!(all, 4);
        assert!(marked(Pretraining::Other("cifar-100".into()), "CIFAR-100"));
    }
}
