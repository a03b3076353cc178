//! Training on the operations that every device has beside the CPU's own, as `virboard doctor agreement` compares them.

use candle_core::Device;
use virboard_lab::agreement::training;

#[test]
fn operations_of_any_device_train_as_the_cpus_own_do() {
    let rows = training(&Device::Cpu);
    let trainings = 3 * 4 + 5;
    assert_eq!(
        rows.len(),
        trainings * (3 + 1),
        "four optimisers of three networks, five methods; in bf16 losses alone"
    );
    for row in &rows {
        println!("{:<76} {:<5} {:.1e} of {:.0e}", row.what, row.setting, row.error.unwrap_or(f64::NAN), row.bound);
    }
    let failed: Vec<_> = rows.iter().filter(|row| !row.passed()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(rows.iter().all(|row| row.error != Some(0.0)), "there are two ways");
}
