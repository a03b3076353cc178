//! `POST /api/v1/predictions` on real photographs and on rendered scenes with known truth.

mod common;

use axum::http::StatusCode;
use common::{picture, sample, server};
use virboard_lab::scene::{MAX_DEPTH, Motion, Scene};

fn output<'a>(answer: &'a serde_json::Value, task: &str) -> &'a serde_json::Value {
    let outputs = answer["outputs"].as_array().expect("outputs");
    outputs.iter().find(|o| o["task"] == task).unwrap_or_else(|| panic!("no {task} in {outputs:#?}"))
}

fn top(output: &serde_json::Value) -> (String, f64) {
    let first = &output["classes"][0];
    (first["label"].as_str().expect("a label").to_owned(), first["probability"].as_f64().expect("a probability"))
}

#[tokio::test]
async fn a_cat_is_an_egyptian_cat_and_coffee_is_espresso() {
    let server = server().await;
    for (file, label, probability) in [("chelsea.png", "Egyptian cat", 0.763), ("coffee.png", "espresso", 0.823)] {
        let (status, answer) =
            server.predict(&sample(file), &[("encoder", "EfficientNetLite0"), ("task", "Imagenet")]).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let output = output(&answer, "Imagenet");
        assert_eq!(output["kind"], "classification");
        let (found, p) = top(output);
        assert_eq!(found, label);
        assert!((p - probability).abs() < 0.01, "{file}: {p}");
        let classes = output["classes"].as_array().expect("classes");
        let p: Vec<f64> = classes.iter().filter_map(|c| c["probability"].as_f64()).collect();
        assert_eq!(p.len(), 1000);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-4);
        assert!(p.windows(2).all(|w| w[0] >= w[1]), "in descending order");
    }
}

#[tokio::test]
async fn held_out_photographs_get_their_class_from_both_trained_encoders() {
    let server = server().await;
    let fields = [("encoder", "EfficientNetLite0"), ("encoder", "OpenNsfw"), ("task", "SamplePhotos")];
    for (file, label) in
        [("animal/moose.jpg", "animal"), ("monument/parthenon.jpg", "monument"), ("fish/fish15.jpg", "fish")]
    {
        let photo = std::fs::read(common::root().join("server/samples/photos").join(file)).expect("a test photograph");
        let (status, answer) = server.predict(&photo, &fields).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let outputs = answer["outputs"].as_array().expect("outputs");
        assert_eq!(outputs.len(), 2);
        for output in outputs {
            assert_eq!(top(output).0, label, "{} on {file}", output["encoder"]);
        }
    }
}

#[tokio::test]
async fn mask_and_depth_of_a_scene_are_near_its_truth() {
    let server = server().await;
    // A seed that is neither in the training nor in the test set, at another size.
    let truth = Scene::new(31_337).render(400, 300);
    let mut png = std::io::Cursor::new(Vec::new());
    truth.picture.write_to(&mut png, image::ImageFormat::Png).expect("encoded");
    let (status, answer) = server.predict(png.get_ref(), &[("encoder", "EfficientNetLite0")]).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["outputs"].as_array().expect("outputs").len(), 7, "every task about one photo with a head");

    let segmentation = output(&answer, "SceneSegmentation");
    let (status, mask) = server.get(segmentation["mask"].as_str().expect("an address")).await;
    assert_eq!(status, StatusCode::OK);
    let mask = image::load_from_memory(&mask).expect("a PNG");
    assert!(matches!(mask, image::DynamicImage::ImageLuma8(_)), "8 bits of class index");
    let mask = mask.into_luma8();
    assert_eq!(mask.dimensions(), (400, 300));
    let right = mask.as_raw().iter().zip(&truth.classes).filter(|(a, b)| a == b).count();
    let share = right as f64 / truth.classes.len() as f64;
    assert!(share > 0.8, "{share} of the pixels have their class");
    let labels = segmentation["labels"].as_array().expect("labels");
    let shares: f64 = labels.iter().filter_map(|l| l["share"].as_f64()).sum();
    assert!((shares - 1.0).abs() < 1e-4);
    assert!(labels.iter().all(|l| l["colour"].as_str().is_some_and(|c| c.starts_with('#') && c.len() == 7)));

    let depth = output(&answer, "SceneDepth");
    assert_eq!(depth["unit"], "m");
    let (low, high) = (depth["minimum"].as_f64().expect("a number"), depth["maximum"].as_f64().expect("a number"));
    let (_, map) = server.get(depth["map"].as_str().expect("an address")).await;
    let map = image::load_from_memory(&map).expect("a PNG");
    assert!(matches!(map, image::DynamicImage::ImageLuma16(_)), "16 bits of depth");
    let map = map.into_luma16();
    assert_eq!(map.dimensions(), (400, 300));
    let metres = |v: u16| low + (high - low) * f64::from(v) / 65535.0;
    let error = map.as_raw().iter().zip(&truth.depth).map(|(v, t)| (metres(*v) - f64::from(*t)).abs()).sum::<f64>()
        / truth.depth.len() as f64;
    let middle = f64::from(MAX_DEPTH) / 2.0;
    let constant = truth.depth.iter().map(|t| (middle - f64::from(*t)).abs()).sum::<f64>() / truth.depth.len() as f64;
    assert!(error < 2.0 && error < constant / 2.0, "mean error {error} m; a constant has {constant} m");
}

#[tokio::test]
async fn asking_again_is_a_database_read() {
    let server = server().await;
    let fields = [("encoder", "EfficientNetLite0")];
    let (_, first) = server.predict(&sample("coffee.png"), &fields).await;
    let started = std::time::Instant::now();
    let (_, second) = server.predict(&sample("coffee.png"), &fields).await;
    // Everything is equal, each output's milliseconds included: nothing was computed again,
    // and so this request cost no time.
    assert_eq!((&first["image"], &first["outputs"]), (&second["image"], &second["outputs"]));
    assert!(first["costs"]["encoder"].as_f64() > Some(0.0), "{}", first["costs"]);
    for part in ["encoder", "heads", "pictures"] {
        assert_eq!(second["costs"][part], 0.0, "{part} of an answer that was stored");
    }
    println!("second answer after {:?}", started.elapsed());
}

#[tokio::test]
async fn unusual_pictures_work() {
    let server = server().await;
    for (file, size) in [("cmyk.jpg", (120, 80)), ("grey16.png", (120, 80)), ("rotated.jpg", (80, 120))] {
        let (status, answer) = server.predict(&picture(file), &[("encoder", "OpenNsfw"), ("task", "SceneDepth")]).await;
        assert_eq!(status, StatusCode::OK, "{file}: {answer}");
        let image = &answer["image"];
        assert_eq!((image["width"].as_u64(), image["height"].as_u64()), (Some(size.0), Some(size.1)), "{file}");
        // The shown photo is upright too and holds no metadata.
        let (_, shown) = server.get(&format!("/api/v1/images/{}", image["sha256"].as_str().expect("a hash"))).await;
        let shown = image::load_from_memory(&shown).expect("a JPEG");
        assert_eq!((u64::from(shown.width()), u64::from(shown.height())), size, "{file}");
    }
    let (_, answer) =
        server.predict(&picture("cmyk.jpg"), &[("encoder", "EfficientNetLite0"), ("task", "Imagenet")]).await;
    let (label, _) = top(output(&answer, "Imagenet"));
    assert!(label.contains("cat") || label == "tabby" || label == "lynx", "colours survive CMYK: {label}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_motion_between_two_views_is_near_its_truth() {
    let server = server().await;
    let scene = Scene::new(31_337);
    let motion = Motion { yaw: 0.025, ..Motion::default() };
    let (w, h) = (320, 240);
    let png = |scene: &Scene| {
        let mut png = std::io::Cursor::new(Vec::new());
        scene.render(w, h).picture.write_to(&mut png, image::ImageFormat::Png).expect("encoded");
        png.into_inner()
    };
    let (first, second) = (png(&scene), png(&scene.moved(motion)));
    let encoder = ("encoder", "EfficientNetLite0");
    let (_, answer) = server.predict(&second, &[encoder, ("task", "SceneCount")]).await;
    let sha256 = answer["image"]["sha256"].as_str().expect("a hash").to_owned();
    let (status, problem) = server.predict(&first, &[encoder, ("task", "SceneFlow")]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["detail"].as_str().expect("a sentence").contains("`second`"), "{problem}");
    let pair = [encoder, ("task", "SceneFlow"), ("task", "SceneEgomotion"), ("second", sha256.as_str())];
    let (status, answer) = server.predict(&first, &pair).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let action = &output(&answer, "SceneEgomotion")["classes"];
    assert_eq!(action.as_array().map(Vec::len), Some(5));
    let address = output(&answer, "SceneFlow")["map"].as_str().expect("an address").to_owned();
    let (_, bytes) = server.get(&address).await;
    let map = image::load_from_memory(&bytes).expect("a PNG").into_rgb16();
    assert_eq!(map.dimensions(), (w, h));
    let pixel = |v: u16| (f32::from(v) - 32768.0) / 64.0;
    let (mut error, mut length, mut n) = (0.0, 0.0, 0.0);
    for (p, t) in map.pixels().zip(scene.flow(motion, w, h).chunks(2)) {
        error += (pixel(p.0[0]) - t[0]).hypot(pixel(p.0[1]) - t[1]);
        length += t[0].hypot(t[1]);
        n += 1.0;
    }
    println!("mean motion {:.2} px, mean error {:.2} px", length / n, error / n);
    assert!(error < 0.9 * length, "an answer of no motion would be as good: {} of {}", error / n, length / n);
    // Another second photo is another answer; the same again is a database read.
    let (_, again) = server.predict(&first, &pair).await;
    assert_eq!(again["outputs"], answer["outputs"]);
    assert_eq!(again["costs"]["encoder"], 0.0);
    let (status, _) = server.get(&address.replace("flow.png", "arrows.svg")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn pictures_are_kept_by_name_and_answered_by_address() {
    use sqlx::Row;
    let server = server().await;
    let scene = Scene::new(3_000_000).render(160, 120).picture;
    let mut png = std::io::Cursor::new(Vec::new());
    scene.write_to(&mut png, image::ImageFormat::Png).expect("encoded");
    let fields =
        [("encoder", "EfficientNetLite0"), ("task", "SceneSegmentation"), ("task", "SceneDepth"), ("task", "Imagenet")];
    let (status, first) = server.predict(png.get_ref(), &fields).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    let base = format!("/api/v1/predictions/{}/EfficientNetLite0", first["image"]["sha256"].as_str().expect("a hash"));
    let address = output(&first, "SceneSegmentation")["mask"].as_str().expect("an address");
    assert!(address.starts_with(&format!("{base}/SceneSegmentation/")) && address.ends_with("/mask.png"), "{address}");
    let version = address.split('/').nth_back(1).expect("a version");
    let folder = &base["/api/v1/".len()..];
    let folder = server.data.path().join("uploads").join(folder).join("SceneSegmentation").join(version);
    let files = || -> Vec<String> {
        let found = std::fs::read_dir(&folder).expect("it was kept").flatten();
        found.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(files(), ["values.bin"], "pictures are made when they are looked at");
    let (status, mask) = server.get(address).await;
    assert_eq!(status, StatusCode::OK);
    let (_, missing) = server.get(&address.replace("mask.png", "map.png")).await;
    assert!(String::from_utf8_lossy(&missing).contains("no such picture"), "a mask has no distances");
    // What was made is kept, as predictions of older versions have it.
    std::fs::remove_file(folder.join("values.bin")).expect("removed");
    assert_eq!(files(), ["mask.png"]);
    assert_eq!(server.get(address).await, (StatusCode::OK, mask));

    let database = format!("sqlite://{}", server.data.path().join("virboard.db").display());
    let pool = sqlx::SqlitePool::connect(&database).await.expect("the database opens");
    let kept = || async {
        let rows = sqlx::query("select task, output from predictions where image = ? order by task");
        let rows = rows.bind(first["image"]["sha256"].as_str()).fetch_all(&pool).await.expect("read");
        rows.iter().map(|r| (r.get::<String, _>(0), r.get::<String, _>(1))).collect::<Vec<_>>()
    };
    let new = kept().await;
    assert_eq!(new.len(), 3);
    assert!(new.iter().all(|(_, output)| !output.contains("/api/")), "{new:?}");
    for (task, field) in [("SceneSegmentation", "mask"), ("SceneDepth", "map")] {
        let old = output(&first, task)[field].as_str().expect("an address");
        sqlx::query("update predictions set output = json_set(output, ?, ?) where task = ?")
            .bind(format!("$.{field}"))
            .bind(old)
            .bind(task)
            .execute(&pool)
            .await
            .expect("as it was kept before");
    }
    assert_ne!(kept().await, new);
    for step in include_str!("../../migrations/0006_pictures_by_name.sql").split(';').filter(|s| !s.trim().is_empty()) {
        sqlx::query(step).execute(&pool).await.expect("brought up to date");
    }
    assert_eq!(kept().await, new, "the migration gives what is kept today");
    let (_, again) = server.predict(png.get_ref(), &fields).await;
    assert_eq!(again["outputs"], first["outputs"], "and the answer is the same");
}
