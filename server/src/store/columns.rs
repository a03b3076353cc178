//! The columns of a score, listed once: scores are written to the database, read from it and
//! exported by this list.

use super::{Result, StoreError};
use crate::table::{Cell, CellKind, Heading};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use virboard_core::protocol::Protocol;
use virboard_core::run::{Origin, Probe, Score};
use virboard_core::statistics::Interval;

/// A column of a score.
pub struct Column {
    /// Its name in the database and in files.
    pub name: &'static str,
    kind: CellKind,
    optional: bool,
    /// What a score has in it.
    pub cell: fn(&Score) -> Cell,
    /// Puts a cell into a score; `None` if it cannot be there.
    put: fn(&mut Score, Cell) -> Option<()>,
}

macro_rules! column {
    ($name:literal, $($place:ident).+) => {
        Column {
            name: $name,
            kind: kind_of(|s: &Score| &s.$($place).+),
            optional: is_optional(|s: &Score| &s.$($place).+),
            cell: |s| s.$($place).+.cell(),
            put: |s, cell| {
                s.$($place).+ = Field::of(cell)?;
                Some(())
            },
        }
    };
}

/// All columns, in the order of files.
pub const COLUMNS: [Column; 24] = [
    column!("run", run),
    column!("encoder", encoder),
    column!("task", task),
    column!("score", value),
    Column {
        name: "low",
        kind: CellKind::Real,
        optional: true,
        cell: |s| s.interval.map(|i| i.low).cell(),
        put: |s, cell| {
            let low: Option<f64> = Field::of(cell)?;
            s.interval = low.map(|low| Interval { low, high: low });
            Some(())
        },
    },
    Column {
        name: "high",
        kind: CellKind::Real,
        optional: true,
        cell: |s| s.interval.map(|i| i.high).cell(),
        // An interval that has only one end is none.
        put: |s, cell| {
            let high: Option<f64> = Field::of(cell)?;
            s.interval = s.interval.zip(high).map(|(i, high)| Interval { high, ..i });
            Some(())
        },
    },
    column!("constant", constant),
    column!("source", evidence.source),
    column!("probe", evidence.probe),
    column!("protocol", evidence.protocol),
    column!("selected", evidence.selected),
    column!("seed", evidence.seed),
    column!("configuration", evidence.configuration),
    column!("encoder_sha256", evidence.encoder_sha256),
    column!("dataset_sha256", evidence.dataset_sha256),
    column!("device", evidence.device),
    column!("version", evidence.version),
    column!("finished_at", evidence.finished_at),
    column!("seconds", evidence.seconds),
    column!("test_samples", evidence.test_samples),
    column!("head", head),
    column!("predictions", predictions),
    column!("precision", evidence.precision),
    column!("key", evidence.key),
];

/// Something that stands in a cell.
trait Field: Sized {
    const KIND: CellKind;
    const OPTIONAL: bool = false;
    fn cell(&self) -> Cell;
    fn of(cell: Cell) -> Option<Self>;
}

const fn kind_of<T: Field>(_: fn(&Score) -> &T) -> CellKind {
    T::KIND
}

const fn is_optional<T: Field>(_: fn(&Score) -> &T) -> bool {
    T::OPTIONAL
}

impl Field for String {
    const KIND: CellKind = CellKind::Text;
    fn cell(&self) -> Cell {
        Cell::Text(self.clone())
    }
    fn of(cell: Cell) -> Option<Self> {
        if let Cell::Text(text) = cell { Some(text) } else { None }
    }
}

impl Field for bool {
    const KIND: CellKind = CellKind::Flag;
    fn cell(&self) -> Cell {
        Cell::Flag(*self)
    }
    fn of(cell: Cell) -> Option<Self> {
        if let Cell::Flag(flag) = cell { Some(flag) } else { None }
    }
}

impl Field for i64 {
    const KIND: CellKind = CellKind::Integer;
    fn cell(&self) -> Cell {
        Cell::Integer(*self)
    }
    fn of(cell: Cell) -> Option<Self> {
        if let Cell::Integer(number) = cell { Some(number) } else { None }
    }
}

impl Field for u64 {
    const KIND: CellKind = CellKind::Integer;
    fn cell(&self) -> Cell {
        Cell::Integer(*self as i64)
    }
    fn of(cell: Cell) -> Option<Self> {
        i64::of(cell).map(|n| n as Self)
    }
}

impl Field for f64 {
    const KIND: CellKind = CellKind::Real;
    fn cell(&self) -> Cell {
        Cell::Real(*self)
    }
    fn of(cell: Cell) -> Option<Self> {
        if let Cell::Real(number) = cell { Some(number) } else { None }
    }
}

impl<T: Field> Field for Option<T> {
    const KIND: CellKind = T::KIND;
    const OPTIONAL: bool = true;
    fn cell(&self) -> Cell {
        self.as_ref().map_or(Cell::Nothing, Field::cell)
    }
    fn of(cell: Cell) -> Option<Self> {
        if cell == Cell::Nothing { Some(None) } else { T::of(cell).map(Some) }
    }
}

macro_rules! named {
    ($($kind:ty),*) => {$(
        impl Field for $kind {
            const KIND: CellKind = CellKind::Text;
            fn cell(&self) -> Cell {
                Cell::Text(self.name().to_owned())
            }
            fn of(cell: Cell) -> Option<Self> {
                String::of(cell).and_then(|name| Self::of(&name))
            }
        }
    )*};
}

named!(Origin, Probe, Protocol);

/// The headings of a table of scores.
#[must_use]
pub fn headings() -> Vec<Heading> {
    COLUMNS.iter().map(|c| Heading { name: c.name.to_owned(), kind: c.kind, optional: c.optional }).collect()
}

/// The score in a row of the database.
pub(super) fn score_of(row: &SqliteRow) -> Result<Score> {
    let mut score = Score::default();
    for column in &COLUMNS {
        let name = column.name;
        let cell = match column.kind {
            CellKind::Text => row.try_get::<Option<String>, _>(name)?.map(Cell::Text),
            CellKind::Flag => row.try_get::<Option<bool>, _>(name)?.map(Cell::Flag),
            CellKind::Integer => row.try_get::<Option<i64>, _>(name)?.map(Cell::Integer),
            CellKind::Real => row.try_get::<Option<f64>, _>(name)?.map(Cell::Real),
        };
        (column.put)(&mut score, cell.unwrap_or(Cell::Nothing)).ok_or(StoreError::Column(name))?;
    }
    Ok(score)
}

#[cfg(test)]
mod tests {
    use super::*;
    use virboard_core::run::Evidence;

    #[test]
    fn every_field_of_a_score_has_its_column() {
        let full = Score {
            run: Some(3),
            encoder: "a".into(),
            task: "b".into(),
            value: 0.1,
            interval: Some(Interval { low: 0.2, high: 0.3 }),
            constant: Some(0.4),
            evidence: Evidence {
                source: Origin::Measured,
                encoder_sha256: "c".into(),
                dataset_sha256: "d".into(),
                probe: Probe::Knn,
                protocol: Protocol::Virb,
                precision: "e".into(),
                selected: true,
                configuration: "f".into(),
                key: "g".into(),
                seed: 5,
                device: "h".into(),
                version: "i".into(),
                finished_at: 6,
                seconds: 0.7,
                test_samples: 8,
            },
            head: "j".into(),
            predictions: "k".into(),
        };
        let copy = |from: &Score| {
            let mut to = Score::default();
            for column in &COLUMNS {
                (column.put)(&mut to, (column.cell)(from)).expect(column.name);
            }
            to
        };
        assert_eq!(copy(&full), full);
        assert_eq!(copy(&Score::default()), Score::default());
        // What a column cannot hold is refused.
        for column in &COLUMNS {
            let wrong = if column.kind == CellKind::Real { Cell::Flag(true) } else { Cell::Real(0.5) };
            assert_eq!((column.put)(&mut Score::default(), wrong), None, "{}", column.name);
        }
    }
}
