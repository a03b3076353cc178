//! Tasks of declared data sets as rows of the catalogue.

use super::description::{Description, HeadForm, Kind, TaskForm};
use virboard_core::catalogue::task::{HeadKind, Metric, OutputKind, Task};

impl TaskForm {
    /// The row of the catalogue.
    #[must_use]
    pub fn task(&self, set: &Description) -> Task {
        let (kind, metric) = match self.kind {
            Kind::Classification => (OutputKind::Classification, Metric::Top1),
            Kind::Segmentation => (OutputKind::Segmentation, Metric::MeanIou),
            Kind::Mask => (OutputKind::Segmentation, Metric::Iou),
            Kind::Depth => (OutputKind::Depth, Metric::L1),
            Kind::Flow => (OutputKind::Flow, Metric::EndpointError),
        };
        let mut task = Task::declared(self.key.get_ref(), kind, metric, self.images());
        if self.head == HeadForm::Deeplab {
            (task.head, task.learning_rate) = (HeadKind::DeepLab, Some(0.003));
        }
        task.classes = match self.kind {
            Kind::Mask => Some(2),
            Kind::Segmentation => Some((0..self.classes.len()).filter(|i| !self.ignores(*i as u8)).count() as u32),
            _ => Some(self.classes.len() as u32).filter(|n| *n > 0),
        };
        task.unit = match self.kind {
            Kind::Flow if self.unit.is_empty() => "px".to_owned(),
            Kind::Depth | Kind::Flow => self.unit.clone(),
            _ => String::new(),
        };
        task.name.clone_from(if self.name.is_empty() { &set.name } else { &self.name });
        task.category = self.category();
        task.dataset.clone_from(&set.name);
        task.epochs = self.epochs.or(task.epochs);
        task.learning_rate = self.learning_rate.or(task.learning_rate);
        task.batch_size = self.batch_size.or(task.batch_size);
        task.suite.clone_from(&self.suite);
        task.stands_for.clone_from(&self.stands_for);
        task.seen.clone_from(&self.seen);
        task.url = Some(set.source.clone()).filter(|s| s.starts_with("http"));
        task.description.clone_from(&self.description);
        task.caveat.clone_from(&self.caveat);
        task
    }
}
