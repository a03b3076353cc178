//! The pictures that an encoder is trained on: sources, subsets, what is refused, and batches of views of them.

mod disk;

use disk::{Disk, jpeg};
use std::sync::Mutex;
use virboard_lab::Result;
use virboard_lab::pretrain::leaks;
use virboard_lab::pretrain::pictures::{Data, Pictures};
use virboard_lab::pretrain::subset::Subset;
use virboard_lab::pretrain::views::{Fit, JitterForm, ViewForm, Views, plain};
use virboard_lab::progress::Progress;
use virboard_nn::preprocess::{Filter, Preprocessing, resize};

/// Keeps what is said.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Progress for Heard {
    fn say(&self, sentence: &str) {
        self.0.lock().expect("no panic").push(sentence.to_owned());
    }
}

impl Heard {
    fn text(&self) -> String {
        self.0.lock().expect("no panic").join("\n")
    }
}

fn open(disk: &Disk, data: &Data) -> Result<Pictures> {
    Pictures::open(&disk.places(), data, 0, &())
}

#[track_caller]
fn refused(disk: &Disk, data: &Data) -> String {
    open(disk, data).expect_err("refused").to_string()
}

fn names(pictures: &Pictures) -> Vec<String> {
    (0..pictures.len()).map(|i| pictures.name(i)).collect()
}

/// A folder of classes `a`, `b` and `c` with 8 pictures each for training and one for the test.
fn classes(disk: &Disk, name: &str) {
    for (c, class) in ["a", "b", "c"].into_iter().enumerate() {
        for i in 0..8u8 {
            disk.picture(&format!("{name}/train/{class}/{i}.jpg"), 80 * c as u8 + i);
        }
        disk.picture(&format!("{name}/val/{class}/9.jpg"), 99);
    }
}

const TWO_TASKS: &str = r#"
name = "Rooms"
licence = "free"
[[task]]
key = "Kinds"
kind = "classification"
[[task]]
key = "Moves"
kind = "classification"
images = 2
train = "moves"
test = "moves-test"
"#;

/// A declared data set of two tasks with a further split. `shared.jpg` is trained on by one task and tested by another.
fn rooms(disk: &Disk) {
    disk.write("rooms/dataset.toml", TWO_TASKS.as_bytes());
    let rows = [
        "split,image,second,label",
        "train,k0.jpg,,hall",
        "train,k1.jpg,,attic",
        "train,shared.jpg,,hall",
        "test,t0.jpg,,hall",
        "moves,m0.jpg,m1.jpg,left",
        "moves,m0.jpg,m2.jpg,right",
        "moves-test,shared.jpg,t1.jpg,left",
        "more,u0.jpg,,",
        "more,u1.jpg,,",
    ];
    disk.write("rooms/index.csv", rows.join("\n").as_bytes());
    let files = ["k0", "k1", "shared", "t0", "t1", "m0", "m1", "m2", "u0", "u1"];
    for (i, file) in files.into_iter().enumerate() {
        disk.picture(&format!("rooms/{file}.jpg"), i as u8);
    }
}

#[test]
fn a_declared_set_gives_each_training_picture_once_and_none_that_is_tested() {
    let disk = Disk::new();
    rooms(&disk);
    let heard = Heard::default();
    let all = Pictures::open(&disk.places(), &Data::of(&["rooms"]), 0, &heard).expect("opened");
    assert_eq!(names(&all), ["k0.jpg", "k1.jpg", "m0.jpg", "m1.jpg", "m2.jpg"]);
    assert!(heard.text().contains("1 pictures of rooms are left out"), "{}", heard.text());
    assert_eq!(all.classes(), ["attic", "hall", "left", "right"]);
    // The picture that two moves begin with is of neither.
    assert_eq!([0, 1, 2, 3, 4].map(|i| all.class(i)), [Some(1), Some(0), None, Some(2), Some(3)]);
    assert_eq!(names(&open(&disk, &Data::of(&["rooms:more"])).expect("a split")), ["u0.jpg", "u1.jpg"]);
    assert_eq!(open(&disk, &Data::of(&["rooms:more"])).expect("a split").class(0), None);
    let moves = open(&disk, &Data::of(&["rooms/Moves"])).expect("a task");
    assert_eq!(names(&moves), ["m0.jpg", "m1.jpg", "m2.jpg"]);
    assert!(refused(&disk, &Data::of(&["rooms:test"])).contains("the task Kinds is tested"));
    let said = refused(&disk, &Data::of(&["rooms/Move"]));
    assert!(said.contains("more, moves, moves-test, test, train and the tasks Kinds, Moves"), "{said}");
}

#[test]
fn a_test_picture_is_found_among_training_pictures_whatever_it_is_called() {
    let disk = Disk::new();
    rooms(&disk);
    for (file, tint) in [("copies/a/x.jpg", 3), ("copies/a/y.jpg", 77), ("copies/b/z.jpg", 78)] {
        disk.picture(file, tint);
    }
    let compare = |source: &str| {
        let tasks = ["Kinds", "Moves"].map(str::to_owned);
        leaks::compare(&disk.places(), &[source.to_owned()], &tasks, &()).expect("compared")
    };
    let own = compare("rooms");
    assert_eq!((own.training, own.test, own.leaks.len()), (5, 3, 0), "{own:?}");
    let copies = compare("copies");
    assert_eq!((copies.training, copies.leaks.len()), (3, 1), "{copies:?}");
    assert!(copies.leaks[0].task == "Kinds" && copies.leaks[0].test.ends_with("rooms/t0.jpg"), "{copies:?}");
    assert!(copies.leaks[0].training.ends_with("copies/a/x.jpg"), "{copies:?}");
}

#[test]
fn any_folder_is_a_source_and_folders_are_classes() {
    let disk = Disk::new();
    classes(&disk, "imagenette");
    let set = open(&disk, &Data::of(&["imagenette"])).expect("by its name");
    assert_eq!((set.len(), set.classes()), (24, ["a", "b", "c"].map(str::to_owned).as_slice()));
    assert!(set.name(8) == "train/b/0.jpg" && set.class(8) == Some(1));
    let path = disk.0.path().join("imagenette").display().to_string();
    assert_eq!(open(&disk, &Data::of(&[&path])).expect("by its path").sha256(), set.sha256());
    for file in ["flat/1.jpg", "flat/2.PNG", "deep/x/y/1.jpg", "deep/z/2.jpg"] {
        disk.picture(file, 1);
    }
    disk.write("flat/notes.txt", b"x");
    let heard = Heard::default();
    let flat = Pictures::open(&disk.places(), &Data::of(&["flat"]), 0, &heard).expect("opened");
    assert!(flat.classes().is_empty() && flat.class(0).is_none() && flat.len() == 2);
    assert!(heard.text().contains("no pictures by their names"), "{}", heard.text());
    assert_eq!(open(&disk, &Data::of(&["deep"])).expect("opened").classes(), ["x/y", "z"]);
    let both = open(&disk, &Data::of(&["deep", "imagenette"])).expect("opened");
    assert_eq!(both.classes(), ["deep/x/y", "deep/z", "imagenette/a", "imagenette/b", "imagenette/c"]);
    assert_eq!((both.len(), both.class(25)), (26, Some(4)));
}

#[test]
fn virbs_layouts_are_read_without_truths_and_tests() {
    let disk = Disk::new();
    for file in [
        "imagenet/train/n01/1.JPEG",
        "imagenet/train/n02/2.JPEG",
        "taskonomy/train/rgb/house/v_rgb.png",
        "taskonomy/train/rgb/house/w_rgb.png",
        "taskonomy/train/depth_zbuffer/house/v_depth_zbuffer.png",
        "taskonomy/test/rgb/flat/t_rgb.png",
        "kinetics400/train/AB/ABC_1.jpg",
        "kinetics400/train/AB/ABC_2.jpg",
        "kinetics400/validate/XY/XYZ_1.jpg",
    ] {
        disk.picture(file, 3);
    }
    let open = |name| open(&disk, &Data::of(&[name])).expect(name);
    assert_eq!(open("imagenet").classes(), ["n01", "n02"]);
    assert_eq!(names(&open("Imagenet")), ["train/n01/1.JPEG", "train/n02/2.JPEG"]);
    assert_eq!(names(&open("taskonomy")), ["train/rgb/house/v_rgb.png", "train/rgb/house/w_rgb.png"]);
    assert!(open("kinetics400").classes().is_empty() && open("kinetics400").len() == 2);
}

#[test]
fn subsets_are_seeded_counted_and_listed() {
    let disk = Disk::new();
    classes(&disk, "one");
    classes(&disk, "two");
    let subset = |sources: &[&str], subset, seed| {
        Pictures::open(&disk.places(), &Data { subset, ..Data::of(sources) }, seed, &()).expect("opened")
    };
    let half = subset(&["one"], Subset::Half, 0);
    let of_class =
        |pictures: &Pictures, class| (0..pictures.len()).filter(|i| pictures.class(*i) == Some(class)).count();
    assert_eq!([0, 1, 2].map(|class| of_class(&half, class)), [4, 4, 4]);
    assert_eq!(names(&half), names(&subset(&["one"], Subset::Half, 0)));
    assert_ne!(names(&half), names(&subset(&["one"], Subset::Half, 1)));
    assert_ne!(half.sha256(), subset(&["one"], Subset::Half, 1).sha256());
    let linear = subset(&["one"], Subset::Linear, 0);
    let mut sizes = [0, 1, 2].map(|class| of_class(&linear, class));
    sizes.sort_unstable();
    assert_eq!((sizes.iter().sum::<usize>(), sizes), (12, [1, 4, 7]));
    let mixed = subset(&["one", "two"], Subset::Combination, 0);
    assert_eq!((0..6).map(|class| of_class(&mixed, class)).collect::<Vec<_>>(), [2; 6]);
    let list = mixed.list();
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines[0], "# subset combination, seed 0, 12 pictures of one, two");
    assert_eq!(lines.len(), 3 + 12);
    assert_eq!(lines[3], format!("one\t{}\tone/a", mixed.name(0)));
    let cut = open(&disk, &Data { pictures: Some(5), ..Data::of(&["one", "two"]) }).expect("opened");
    assert_eq!(cut.len(), 10);
    let heard = Heard::default();
    let data = Data { pictures: Some(500), ..Data::of(&["one"]) };
    assert_eq!(Pictures::open(&disk.places(), &data, 0, &heard).expect("opened").len(), 24);
    assert!(heard.text().contains("24 pictures, fewer than the 500"), "{}", heard.text());
}

#[test]
fn what_cannot_be_trained_on_is_a_sentence() {
    let disk = Disk::new();
    classes(&disk, "one");
    disk.picture("single/a.jpg", 1);
    disk.picture("flat/a.jpg", 1);
    disk.picture("flat/b.jpg", 2);
    let said = refused(&disk, &Data::of(&["onee"]));
    assert!(said.contains("called `onee`") && said.contains("did you mean `one`?"), "{said}");
    assert!(refused(&disk, &Data::of(&["single"])).contains("holds 1 training pictures"));
    assert!(refused(&disk, &Data::of(&[])).contains("`sources` cannot be empty"));
    assert!(refused(&disk, &Data::of(&["one", "one"])).contains("`one` twice"));
    assert!(refused(&disk, &Data { pictures: Some(1), ..Data::of(&["one"]) }).contains("`pictures` cannot be 1"));
    let said = refused(&disk, &Data::of(&["one", &disk.0.path().join("one/train/a").display().to_string()]));
    assert!(said.contains("0.jpg is in the source `one` and in"), "{said}");
    for subset in [Subset::Linear, Subset::Log] {
        let said = refused(&disk, &Data { subset, ..Data::of(&["flat"]) });
        assert!(said.contains("needs classes") && said.contains("flat/a.jpg"), "{said}");
    }
    assert!(refused(&disk, &Data { subset: Subset::Half, ..Data::of(&["flat"]) }).contains("leaves 1"));
    let set = open(&disk, &Data::of(&["one"])).expect("opened");
    assert!(set.check_batch(24).is_ok());
    let said = set.check_batch(25).expect_err("refused").to_string();
    assert!(said.contains("a batch of 25 is more than the 24"), "{said}");
    let unknown = serde_json::from_str::<Data>(r#"{"sources": ["one"], "subsets": "half"}"#).expect_err("refused");
    assert!(unknown.to_string().contains("subsets"), "{unknown}");
}

#[test]
fn broken_pictures_are_refused_by_name_or_left_out_by_name() {
    let disk = Disk::new();
    classes(&disk, "one");
    let whole = open(&disk, &Data::of(&["one"])).expect("opened");
    disk.write("one/train/b/3.jpg", &jpeg(1)[..200]);
    disk.write("one/train/c/5.jpg", b"no picture");
    let said = refused(&disk, &Data::of(&["one"]));
    assert!(said.contains("one/train/b/3.jpg cannot be used") && said.contains("skip_broken"), "{said}");
    let heard = Heard::default();
    let data = Data { skip_broken: true, memory_mb: Some(0), ..Data::of(&["one"]) };
    let rest = Pictures::open(&disk.places(), &data, 0, &heard).expect("opened");
    assert_eq!(rest.len(), 22);
    assert!(!names(&rest).iter().any(|name| name.ends_with("b/3.jpg") || name.ends_with("c/5.jpg")));
    assert!(heard.text().contains("b/3.jpg is left out") && heard.text().contains("c/5.jpg is left out"));
    assert!((0..22).all(|i| rest.get(i).is_ok()));
    assert_ne!(rest.sha256(), whole.sha256());
    // Beyond the memory, a broken picture is met where it is read.
    let late = open(&disk, &Data { memory_mb: Some(0), ..Data::of(&["one"]) });
    let late = late.expect_err("the first pictures are decoded").to_string();
    assert!(late.contains("b/3.jpg"), "{late}");
    for class in ["a", "b", "c"] {
        for i in 0..8 {
            disk.write(&format!("one/train/{class}/{i}.jpg"), b"no picture");
        }
    }
    assert!(refused(&disk, &data).contains("only 0 of 24 pictures can be used"));
}

#[test]
fn pictures_are_kept_small_within_the_memory() {
    let disk = Disk::new();
    classes(&disk, "one");
    let kept = open(&disk, &Data { side: Some(20), ..Data::of(&["one"]) }).expect("opened");
    let heard = Heard::default();
    let data = Data { side: Some(20), memory_mb: Some(0), ..Data::of(&["one"]) };
    let read = Pictures::open(&disk.places(), &data, 0, &heard).expect("opened");
    assert!(heard.text().contains("0 of 24 pictures fit into 0 MB"), "{}", heard.text());
    let whole = open(&disk, &Data::of(&["one"])).expect("opened");
    assert_eq!(whole.get(3).expect("read").dimensions(), (48, 40));
    for i in 0..24 {
        let wanted = resize(&whole.get(i).expect("read"), 24, 20, Filter::Bilinear);
        assert_eq!(*kept.get(i).expect("kept"), wanted);
        assert_eq!(*read.get(i).expect("read"), wanted);
    }
    assert_eq!(kept.sha256(), read.sha256());
}

#[test]
fn batches_are_the_same_on_any_number_of_threads() {
    let disk = Disk::new();
    classes(&disk, "one");
    let pictures = open(&disk, &Data::of(&["one"])).expect("opened");
    let jitter = JitterForm { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, p: 0.8 };
    let forms = [
        ViewForm { count: 2, jitter: Some(jitter), grey: 0.2, ..ViewForm::cut(16, (0.2, 1.0)) },
        ViewForm::cut(8, (0.05, 0.2)),
    ];
    let views = Views::new(&forms, &Preprocessing::IMAGENET, 3).expect("forms");
    let picked = [5, 0, 23, 11, 5];
    assert_eq!(views.shapes(5), [[5, 16, 16, 3], [5, 16, 16, 3], [5, 8, 8, 3]]);
    let on = |threads: usize, epoch: u32, picked: &[usize]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| views.batch(&pictures, picked, epoch)).expect("made")
    };
    let batch = on(1, 0, &picked);
    assert_eq!(batch.iter().map(Vec::len).collect::<Vec<_>>(), [5 * 768, 5 * 768, 5 * 192]);
    assert!(batch.iter().flatten().all(|v| v.is_finite() && v.abs() < 3.0));
    assert_eq!(batch, on(3, 0, &picked));
    assert_ne!(batch, on(1, 1, &picked), "another epoch");
    assert_ne!(batch[0], batch[1], "two views of a picture");
    // A view depends on its picture, not on the batch.
    let alone = on(2, 0, &[11]);
    for (alone, batch) in alone.iter().zip(&batch) {
        assert_eq!(alone[..], batch[3 * alone.len()..4 * alone.len()]);
    }
    assert_eq!(batch[0][..768], batch[0][4 * 768..]);
    let other = Views::new(&forms, &Preprocessing::IMAGENET, 4).expect("forms").batch(&pictures, &picked, 0);
    assert_ne!(batch, other.expect("made"), "another seed");
    let plain = plain(&pictures.get(0).expect("read"), 16, Fit::Squash, &Preprocessing::IMAGENET);
    assert_eq!(plain.len(), 768);
    assert!(plain.iter().all(|v| v.is_finite()));
}
