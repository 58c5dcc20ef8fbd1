//! Sums and rows by hand.

use metrics::Ratios;

use super::*;

const ROWS: [&str; 4] = ["vocals", "drums", "bass", "other"];

fn report(with_bss: bool, leaks: &[(&str, f64)]) -> Report {
    let measured = |sdr_db: f64| {
        let bss = Ratios { sdr_db: sdr_db - 1.0, isr_db: f64::INFINITY, sir_db: 10.0 * sdr_db, sar_db: f64::NAN };
        Measured::new(sdr_db, with_bss.then_some(bss))
    };
    let score = |sdr_db| Score::new(measured(sdr_db), measured(-4.0), with_bss.then(|| measured(12.0)));
    let song = |name: &str, seconds, separation_s, scores: [Option<Score>; 4]| {
        let rows = ROWS.map(String::from).to_vec();
        let stems = rows.iter().cloned().zip(scores).filter_map(|(name, score)| Some((name, score?))).collect();
        let leaks = leaks.iter().map(|(name, db)| (name.to_string(), *db)).collect();
        SongReport::new(name.into(), seconds, separation_s, rows, stems, leaks)
    };
    let songs = vec![
        song("hydrogen", 100.0, 20.0, [score(5.0), score(3.0), None, score(1.0)]),
        song("x", 100.0, 20.0, [score(7.0), score(1.0), score(-10.5), score(3.0)]),
        song("y", 200.0, 40.0, [score(15.0), None, None, None]),
    ];
    let model = ModelInfo { name: "first".into(), dir: "models/first".into(), sha256: "00".into() };
    Report::new(model, "data".into(), with_bss.then_some("IRM1"), songs, Vec::new())
}

#[test]
fn means_and_medians_leave_out_what_is_missing() {
    let report = report(true, &[]);
    let close = |x: f64, want: f64| assert!((x - want).abs() < 1e-9, "{x} instead of {want}");
    close(report.songs[0].mean.unwrap().sdr_db, 3.0);
    close(report.stems["vocals"].sdr_db, 9.0);
    close(report.stems["vocals"].bss_eval.unwrap().sdr_db.unwrap(), 6.0);
    close(report.stems["bass"].sdr_db, -10.5);
    close(report.mean.unwrap().sdr_db, (9.0 + 2.0 - 10.5 + 2.0) / 4.0);
    close(report.mean.unwrap().gain_db, (9.0 + 2.0 - 10.5 + 2.0) / 4.0 + 4.0);
    close(report.mean.unwrap().bss_eval.unwrap().sir_db.unwrap(), (70.0 + 20.0 - 105.0 + 20.0) / 4.0);
    close(report.real_time_factor, 0.2);
    let bss = report.stems["vocals"].bss_eval.unwrap();
    assert_eq!((bss.isr_db, bss.sar_db), (None, None));
    let measured = |sdr_db| Measured::new(sdr_db, None);
    assert!(Score::new(measured(f64::INFINITY), measured(1.0), None).is_none());
}

#[test]
fn the_table_is_aligned() {
    for with_bss in [false, true] {
        let table = report(with_bss, &[]).table();
        let rows: Vec<&str> = table.lines().take_while(|line| !line.is_empty()).collect();
        assert_eq!(rows.len(), 2 + 4 * 5, "{table}");
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{table}");
        if with_bss {
            assert_eq!(
                rows[2].split_whitespace().collect::<Vec<_>>()[..7],
                ["hydrogen", "vocals", "4.00", "-", "50.00", "-", "5.00"]
            );
        } else {
            assert_eq!(rows[2], "hydrogen   vocals   5.00    -4.00  +9.00");
            assert_eq!(rows[4], "           bass        -        -      -");
            assert_eq!(rows[9], "           bass   -10.50    -4.00  -6.50");
        }
    }
}

#[test]
fn leakage_stands_beside_the_scores_and_in_no_mean_of_them() {
    let (with, without) = (report(false, &[("bass", -14.0)]), report(false, &[]));
    assert_eq!(with.leakage_db, BTreeMap::from([("bass".to_string(), -14.0)]));
    assert_eq!(with.mean, without.mean);
    let table = with.table();
    let rows: Vec<&str> = table.lines().take_while(|line| !line.is_empty()).collect();
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{table}");
    assert!(rows[1].ends_with("     leak"), "{table}");
    assert!(rows[4].ends_with("    -14.0") && rows[5].ends_with("        -"), "{table}");
    assert!(table.contains("leak: level against the mix"), "{table}");
    assert!(!without.table().contains("leak"));
}
