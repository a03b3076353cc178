//! Momentum contrast: MoCo v1 (He et al. 2019, arXiv 1911.05722) and v2 (Chen et al. 2020, arXiv
//! 2003.04297).

use super::loss::{cross_entropy, mistaken_temperature};
use super::projection::{Network, Projected, ProjectionForm};
use super::queue::Queue;
use super::saved::State;
use super::{Batch, Method, Start};
use crate::Result;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use virboard_nn::layer::batch_norm::Statistics;
use virboard_nn::seeded::Stream;
use virboard_nn::trainable::Normalising;

/// Settings of MoCo. The two versions differ in their projections, views and schedules alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MocoForm {
    /// What stands behind the embedding: one linear layer in v1, two in v2.
    pub projection: ProjectionForm,
    /// What cosines are divided by, above 0.
    pub temperature: f64,
    /// Keys of earlier batches that a picture is to be told from.
    pub queue: usize,
    /// Share of itself that the key encoder keeps in a step, from 0 to less than 1.
    pub momentum: f64,
    /// Parts of the batch that are normalised each on its own: the GPUs of the published runs.
    #[serde(default = "one")]
    pub groups: usize,
}

const fn one() -> usize {
    1
}

impl MocoForm {
    /// What is wrong with it in batches of `batch` pictures, a sentence each.
    #[must_use]
    pub fn mistakes(&self, batch: usize) -> Vec<String> {
        let Self { queue, momentum, groups, .. } = *self;
        let mut said = self.projection.mistakes();
        said.extend(mistaken_temperature(self.temperature));
        if queue == 0 || !queue.is_multiple_of(batch) {
            said.push(format!(
                "`queue` is {queue}, and whole batches of {batch} have to fill it; take a multiple of the batch"
            ));
        }
        if !(0.0..1.0).contains(&momentum) {
            said.push(format!("`momentum` is {momentum}; give a number from 0 to less than 1, such as 0.99"));
        }
        if groups == 0 || !batch.is_multiple_of(groups) || batch / groups < 2 {
            said.push(format!(
                "a batch of {batch} does not fall into {groups} `groups` of one size and at least 2 pictures; take another batch or number of groups"
            ));
        }
        said
    }
}

/// A query encoder, which learns, a key encoder, which follows it slowly and keeps nothing for
/// gradients, and a queue of keys.
pub struct Moco {
    form: MocoForm,
    seed: u64,
    query: Projected,
    key: Projected,
    queue: Queue,
}

/// What stands before the names of the key encoder's tensors in states.
const KEY: &str = "momentum.";

impl Moco {
    /// Begins, with both encoders alike.
    pub fn new(form: &MocoForm, start: &Start<'_>) -> Result<Self> {
        let query = Projected::new(&form.projection, start)?;
        let key = query.follower(&form.projection, start)?;
        let queue = Queue::seeded("queue", form.queue, form.projection.out, start.seed, start.device)?;
        Ok(Self { form: *form, seed: start.seed, query, key, queue })
    }

    /// The keys of views, `N x D`, in the order of the views and without gradients. They are
    /// computed in another order than the queries: pictures whose keys and queries were
    /// normalised in one group would be told by the group's statistics (section 3.3).
    fn keys(&self, views: &Tensor, step: u64) -> Result<Tensor> {
        let order = Order::new(self.seed, step, views.dim(0)?, views.device())?;
        let keys = self.key.unit(&order.shuffled(views)?, self.normalising())?;
        order.undone(&keys)
    }

    fn normalising(&self) -> Normalising {
        Normalising { statistics: Statistics::Batch, groups: self.form.groups }
    }
}

impl Method for Moco {
    fn trained(&self) -> &Network {
        &self.query.network
    }

    fn save(&self, state: &mut State) -> Result<()> {
        self.key.network.save(KEY, state)?;
        self.queue.save(state)
    }

    fn take_up(&mut self, state: &State) -> Result<()> {
        self.key.network.restore(KEY, state)?;
        self.queue.restore(state)
    }

    fn loss(&mut self, batch: &Batch) -> Result<Tensor> {
        let [of_query, of_key] = batch.views("MoCo")?;
        // Keys first: what computed them is free again before the queries' gradients need room.
        let keys = self.keys(of_key, batch.step)?;
        let queries = self.query.unit(of_query, self.normalising())?;
        let positive = (&queries * &keys)?.sum_keepdim(1)?;
        let negative = queries.matmul(&self.queue.rows().t()?)?;
        let logits = (Tensor::cat(&[positive, negative], 1)? / self.form.temperature)?;
        let loss = cross_entropy(&logits, &vec![0; batch.pictures.len()])?;
        self.queue.push(&keys)?;
        Ok(loss)
    }

    /// The key encoder follows. (The authors' program does it before the next batch's keys, which
    /// is the same.)
    fn stepped(&mut self) -> Result<()> {
        self.key.network.follow(&self.query.network, self.form.momentum)
    }
}

/// A random order of a batch, which can be undone.
struct Order {
    there: Tensor,
    back: Tensor,
}

impl Order {
    fn new(seed: u64, step: u64, count: usize, device: &Device) -> Result<Self> {
        let order = Stream::new(seed, &format!("shuffle/{step}")).permutation(count);
        let mut back = vec![0u32; count];
        for (to, from) in order.iter().enumerate() {
            back[*from] = to as u32;
        }
        let there: Vec<u32> = order.iter().map(|from| *from as u32).collect();
        Ok(Self { there: Tensor::new(there, device)?, back: Tensor::new(back, device)? })
    }

    fn shuffled(&self, rows: &Tensor) -> Result<Tensor> {
        Ok(rows.contiguous()?.index_select(&self.there, 0)?)
    }

    fn undone(&self, rows: &Tensor) -> Result<Tensor> {
        Ok(rows.contiguous()?.index_select(&self.back, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virboard_nn::testing::{Random, values};
    use virboard_nn::trainable::Form;

    #[test]
    fn keys_leave_nothing_for_gradients_and_move_with_their_encoder() {
        let network = Form { width: Some(4), blocks: Some([1, 1, 1, 1]), ..Form::of("resnet18") };
        let encoder = |gradients| Ok(network.build_with(gradients, &mut network.random(3)?, &Device::Cpu)?);
        let start = Start { encoder: &encoder, pictures: 4, classes: 0, seed: 1, device: &Device::Cpu };
        let projection = ProjectionForm { hidden: Some(8), out: 4, batch_norm: true };
        let form = MocoForm { projection, temperature: 0.2, queue: 8, momentum: 0.5, groups: 2 };
        let mut moco = Moco::new(&form, &start).expect("built");
        let view = |name: &str| Random::new(name).normal(1.0, (4, 32, 32, 3));
        let views = vec![view("queries"), view("keys")];
        let batch = Batch { views, pictures: (0..4).collect(), classes: Vec::new(), epoch: 0, step: 0 };
        let keys = |moco: &Moco| moco.keys(&batch.views[1], 0).expect("computed");
        let first = keys(&moco);
        assert!(!first.track_op(), "no operation on the way was recorded");

        let gradients = moco.loss(&batch).and_then(|loss| Ok(loss.backward()?)).expect("gradients");
        let (of_query, of_key) = (moco.query.network.trainable(), moco.key.network.trainable());
        assert!(of_query.len() > 20 && of_query.keys().eq(of_key.keys()));
        for (name, var) in &of_query {
            assert!(gradients.get(var).is_some(), "{name}");
            assert!(gradients.get(&of_key[name]).is_none(), "{name} of the key encoder");
            var.set(&(var.as_detached_tensor() + 0.1).expect("moved")).expect("set");
        }
        assert_eq!(values(&keys(&moco)), values(&first), "queries' tensors are no keys'");
        moco.stepped().expect("stepped");
        assert_ne!(values(&keys(&moco)), values(&first), "the layers see how their tensors follow");
    }

    #[test]
    fn shuffling_is_undone_and_differs_from_step_to_step() {
        let rows = Tensor::arange(0f32, 24.0, &Device::Cpu).and_then(|t| t.reshape((8, 3))).expect("rows");
        let orders = [0, 1].map(|step| Order::new(5, step, 8, &Device::Cpu).expect("an order"));
        let shuffled = orders.each_ref().map(|order| order.shuffled(&rows).expect("shuffled"));
        assert_ne!(values(&shuffled[0]), values(&rows));
        assert_ne!(values(&shuffled[0]), values(&shuffled[1]));
        for (order, shuffled) in orders.iter().zip(&shuffled) {
            assert_eq!(values(&order.undone(shuffled).expect("undone")), values(&rows));
        }
    }
}
