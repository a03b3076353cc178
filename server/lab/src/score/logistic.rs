//! Multinomial logistic regression on frozen embeddings, brought to its one optimum with
//! L-BFGS: what scikit-learn's `LogisticRegression(C = 1)` computes on standardised features.
//! The problem is convex, so that nothing depends on a seed or a learning rate.

use crate::progress::Progress;
use crate::score::metric::{SampleScore, top_classes};
use crate::{Error, Result};
use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use candle_core::{D, DType, Tensor};

/// Inverse strength of the penalty: `C` of scikit-learn.
pub const C: f64 = 1.0;
/// Most steps of L-BFGS.
const STEPS: u64 = 300;
/// Pairs of steps that L-BFGS remembers.
const MEMORY: usize = 10;

struct Problem<'a> {
    x: &'a Tensor,
    one_hot: &'a Tensor,
    classes: usize,
    progress: &'a dyn Progress,
}

impl Problem<'_> {
    /// Weights `E x classes` and biases `classes`, in f32 on the data's device.
    fn split(&self, p: &[f64]) -> candle_core::Result<(Tensor, Tensor)> {
        let e = self.x.dim(1)?;
        let values: Vec<f32> = p.iter().map(|v| *v as f32).collect();
        let all = Tensor::from_vec(values, (e + 1, self.classes), self.x.device())?;
        Ok((all.narrow(0, 0, e)?.contiguous()?, all.narrow(0, e, 1)?))
    }

    fn log_probabilities(&self, p: &[f64]) -> candle_core::Result<(Tensor, Tensor)> {
        let (w, b) = self.split(p)?;
        let logits = self.x.matmul(&w)?.broadcast_add(&b)?;
        Ok((candle_nn::ops::log_softmax(&logits, D::Minus1)?, w))
    }
}

impl CostFunction for Problem<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    /// `C * sum of cross-entropies + |W|^2 / 2`, divided by `C * N` as a mean.
    fn cost(&self, p: &Self::Param) -> std::result::Result<f64, argmin::core::Error> {
        if self.progress.cancelled() {
            return Err(Error::Cancelled.into());
        }
        let (log_p, w) = self.log_probabilities(p)?;
        let n = self.x.dim(0)? as f64;
        let data = (log_p * self.one_hot)?.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
        let penalty = w.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?;
        Ok(-data / n + penalty / (2.0 * C * n))
    }
}

impl Gradient for Problem<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, p: &Self::Param) -> std::result::Result<Vec<f64>, argmin::core::Error> {
        let (log_p, w) = self.log_probabilities(p)?;
        let n = self.x.dim(0)? as f64;
        let residual = (log_p.exp()? - self.one_hot)?;
        let weights = ((self.x.t()?.matmul(&residual)? + (w / C)?)? / n)?;
        let biases = (residual.sum_keepdim(0)? / n)?;
        let all: Vec<f32> = Tensor::cat(&[weights, biases], 0)?.flatten_all()?.to_vec1()?;
        Ok(all.into_iter().map(f64::from).collect())
    }
}

/// Fits on `train` (`N x E`) and classifies `test` (`M x E`). Both are standardised by the
/// training set's mean and deviation first.
pub fn classify(
    train: &Tensor,
    train_classes: &[u32],
    test: &Tensor,
    test_classes: &[u32],
    classes: usize,
    progress: &dyn Progress,
) -> Result<Vec<SampleScore>> {
    let mean = train.mean_keepdim(0)?;
    let centred = train.broadcast_sub(&mean)?;
    let std = (centred.sqr()?.mean_keepdim(0)?.sqrt()? + 1e-6)?;
    let x = centred.broadcast_div(&std)?;
    let one_hot: Vec<f32> = train_classes
        .iter()
        .flat_map(|c| (0..classes).map(move |k| if k == *c as usize { 1.0 } else { 0.0 }))
        .collect();
    let one_hot = Tensor::from_vec(one_hot, (train_classes.len(), classes), train.device())?;
    progress.begin("logistic regression", STEPS);
    let problem = Problem { x: &x, one_hot: &one_hot, classes, progress };
    let start = vec![0f64; (train.dim(1)? + 1) * classes];
    let failed = |e: argmin::core::Error| match e.downcast::<Error>() {
        Ok(error) => error,
        Err(e) => Error::Unsupported(format!("the logistic regression did not come to an end: {e}")),
    };
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
        .with_tolerance_grad(1e-5)
        .and_then(|s| s.with_tolerance_cost(1e-9))
        .map_err(failed)?;
    let done = Executor::new(problem, solver)
        .configure(|state| state.param(start.clone()).max_iters(STEPS))
        .run()
        .map_err(failed)?;
    progress.advance(STEPS);
    let best = done.state().get_best_param().cloned().unwrap_or(start);
    let x = test.broadcast_sub(&mean)?.broadcast_div(&std)?;
    let problem = Problem { x: &x, one_hot: &one_hot, classes, progress };
    let rows: Vec<Vec<f32>> = problem.log_probabilities(&best)?.0.exp()?.to_vec2()?;
    Ok(rows
        .iter()
        .zip(test_classes)
        .map(|(row, truth)| SampleScore::Class { truth: *truth, top: top_classes(row) })
        .collect())
}
