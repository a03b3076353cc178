//! Every statistic equals scipy's.

use serde_json::Value;
use virboard_core::statistics::{anova, density, kruskal, line, pearson, permuted, quantile, sign_test, spearman};

fn vectors() -> Value {
    serde_json::from_str(include_str!("statistics.json")).expect("the vectors are JSON")
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().expect("a list").iter().map(|n| n.as_f64().expect("a number")).collect()
}

#[track_caller]
fn near(ours: f64, wanted: &Value) {
    let wanted = wanted.as_f64().expect("a number");
    assert!((ours - wanted).abs() <= 1e-9 * wanted.abs().max(1.0), "{ours} instead of {wanted}");
}

#[test]
fn correlations_and_lines() {
    let vectors = vectors();
    for case in vectors["correlation"].as_array().expect("cases") {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        for (ours, wanted) in [(pearson(&x, &y), &case["pearson"]), (spearman(&x, &y), &case["spearman"])] {
            let ours = ours.expect("enough pairs");
            near(ours.r, &wanted[0]);
            near(ours.p, &wanted[1]);
        }
    }
    for case in vectors["line"].as_array().expect("cases") {
        let ours = line(&numbers(&case["x"]), &numbers(&case["y"])).expect("enough pairs");
        near(ours.slope, &case["slope"]);
        near(ours.intercept, &case["intercept"]);
        near(ours.p, &case["p"]);
        near(ours.stderr, &case["stderr"]);
        near(ours.half_width(0.3), &case["half"]);
    }
    assert_eq!(pearson(&[1.0, 2.0], &[1.0, 2.0]), None);
    assert_eq!(pearson(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
    assert_eq!(line(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
}

#[test]
fn probabilities_of_few_pairs_are_those_of_all_their_orders() {
    let vectors = vectors();
    let cases = vectors["orders"].as_array().expect("cases");
    for case in cases {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        near(permuted(pearson(&x, &y), &x, &y).expect("enough pairs").p, &case["p"]);
    }
    assert_eq!(cases.len(), 4);
    // Random orders of more come close to the distribution, where that holds.
    for case in vectors["correlation"].as_array().expect("cases") {
        let (x, y) = (numbers(&case["x"]), numbers(&case["y"]));
        if x.len() == 20 {
            let c = pearson(&x, &y);
            let p = permuted(c, &x, &y).expect("enough pairs").p;
            assert!((p - c.expect("enough pairs").p).abs() < 0.02, "{p} and {c:?}");
        }
    }
}

#[test]
fn groups_and_signs() {
    let vectors = vectors();
    for case in vectors["groups"].as_array().expect("cases") {
        let groups: Vec<Vec<f64>> = case["groups"].as_array().expect("groups").iter().map(numbers).collect();
        let groups: Vec<&[f64]> = groups.iter().map(Vec::as_slice).collect();
        for (ours, wanted) in [(anova(&groups), &case["anova"]), (kruskal(&groups), &case["kruskal"])] {
            let ours = ours.expect("enough values");
            near(ours.statistic, &wanted[0]);
            near(ours.p, &wanted[1]);
        }
    }
    for case in vectors["sign"].as_array().expect("cases") {
        let count = |name: &str| case[name].as_u64().expect("a count") as usize;
        let differences = [vec![1.0; count("wins")], vec![-1.0; count("losses")], vec![0.0; 2]].concat();
        let ours = sign_test(&differences).expect("wins or losses");
        near(ours.two_sided, &case["two_sided"]);
        near(ours.greater, &case["greater"]);
        assert_eq!(ours.ties, 2);
    }
    assert_eq!(anova(&[&[1.0], &[]]), None);
    assert_eq!(kruskal(&[&[1.0, 1.0], &[1.0]]), None);
    assert_eq!(sign_test(&[0.0]), None);
}

#[test]
fn densities_and_quantiles() {
    let vectors = vectors();
    for case in vectors["density"].as_array().expect("cases") {
        let ours = density(&numbers(&case["x"])).expect("enough values");
        for (at, wanted) in numbers(&case["at"]).into_iter().zip(case["density"].as_array().expect("values")) {
            near(ours.at(at), wanted);
        }
    }
    for case in vectors["quantile"].as_array().expect("cases") {
        for (q, wanted) in numbers(&case["q"]).into_iter().zip(case["values"].as_array().expect("values")) {
            near(quantile(&numbers(&case["x"]), q).expect("values"), wanted);
        }
    }
    assert_eq!(density(&[1.0, 1.0]), None);
}
