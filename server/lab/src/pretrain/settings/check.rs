//! What can be wrong with settings beyond their form.

use super::{MethodForm, Settings};
use crate::pretrain::method::form::Takes;
use crate::pretrain::views::ViewForm;
use virboard_core::words::counted;
use virboard_nn::encoder::Precision;

impl Settings {
    /// What is wrong with them, a sentence each.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        let mut said = self.method.mistakes(self.batch);
        said.extend(self.mistakes_of_views());
        said.extend(self.optimiser.mistakes());
        said.extend(self.schedule.mistakes(self.epochs));
        said.extend(self.mistakes_of_time());
        let mut when = |wrong: bool, sentence: String| {
            if wrong {
                said.push(sentence);
            }
        };
        let rate = self.learning_rate;
        when(!(rate.is_finite() && rate > 0.0), format!("`learning_rate` is {rate}; give a number above 0"));
        let decay = self.weight_decay;
        when(
            !(decay.is_finite() && decay >= 0.0),
            format!("`weight_decay` is {decay}; give 0 or a small number, such as 0.0001"),
        );
        when(
            self.precision == Precision::F16,
            "`precision` is f16, in which small gradients vanish; take bf16 or f32".to_owned(),
        );
        when(self.batch < 2, format!("`batch` is {}; take at least 2 pictures", self.batch));
        when(self.accumulate == 0, "`accumulate` is 0; a step takes the gradients of at least 1 batch".to_owned());
        said.extend(self.network.describe().err().map(|error| format!("`network`: {error}")));
        said.extend(self.data.check().err().map(|error| error.to_string()));
        said.extend(self.views.iter().filter_map(|view| view.check().err()).map(|error| error.to_string()));
        said
    }

    fn mistakes_of_time(&self) -> Vec<String> {
        let (mut said, epochs) = (Vec::new(), self.epochs);
        if let Some(kept) = self.keep.iter().find(|kept| !(1..=epochs).contains(*kept)) {
            said.push(format!("`keep` names epoch {kept}, and the run has epochs 1 to {epochs}"));
        }
        if let Some(warm_up) = self.warm_up {
            if !(warm_up.from.is_finite() && (0.0..=self.learning_rate).contains(&warm_up.from)) {
                said.push(format!(
                    "`from` of `warm_up` is {}; it rises from there to `learning_rate`, {}",
                    warm_up.from, self.learning_rate
                ));
            }
            if warm_up.epochs >= epochs && epochs > 0 {
                said.push(format!(
                    "`warm_up` takes {}, and the run ends after {epochs}",
                    counted(warm_up.epochs, "epoch")
                ));
            }
            if warm_up.epochs == 0 && warm_up.steps == 0 {
                said.push("`warm_up` takes no time; give `epochs` or `steps`, or leave it out".to_owned());
            }
        }
        if self.neighbours.as_ref().is_some_and(|neighbours| neighbours.every == 0) {
            said.push("`every` of `neighbours` is 0; give the epochs from one score to the next".to_owned());
        }
        said
    }

    /// Views come in the number, the kind and the order that the method takes.
    fn mistakes_of_views(&self) -> Vec<String> {
        let (name, views) = (self.method.name(), &self.views);
        let plain = |views: &[ViewForm]| views.iter().filter(|view| view.jigsaw.is_none()).count();
        let count: usize = views.iter().map(|view| view.count).sum();
        let wanted = match self.method.takes() {
            Takes::Views(wanted) if count != wanted || plain(views) != views.len() => format!("{wanted} views"),
            Takes::AtLeast(wanted)
                if count < wanted.max(2) || views[0].count < wanted || plain(views) != views.len() =>
            {
                format!("at least {} views, the first {wanted} of them of one kind,", wanted.max(2))
            }
            Takes::ViewAndJigsaw
                if count != 2 || views.len() != 2 || views[0].jigsaw.is_some() || plain(views) != 1 =>
            {
                "one view and behind it one with `jigsaw`".to_owned()
            }
            _ => return self.mistakes_of_jigsaws(),
        };
        let jigsaws = views.len() - plain(views);
        vec![format!("{name} takes {wanted} of each picture, and `views` has {count}, {jigsaws} of them jigsaws")]
    }

    fn mistakes_of_jigsaws(&self) -> Vec<String> {
        let MethodForm::Pirl(form) = &self.method else { return Vec::new() };
        let jigsaws = self.views.iter().filter_map(|view| view.jigsaw.as_ref());
        let wrong = jigsaws.filter(|jigsaw| jigsaw.grid.saturating_pow(2) as usize != form.patches);
        wrong
            .map(|jigsaw| {
                format!(
                    "`patches` of the method is {}, and a jigsaw with `grid` {} has {}; make them the same",
                    form.patches,
                    jigsaw.grid,
                    jigsaw.grid.saturating_pow(2)
                )
            })
            .collect()
    }
}
