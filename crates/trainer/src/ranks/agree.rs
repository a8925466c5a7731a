//! Values and errors that all ranks see, so that all of them go on, or all end.

use serde::Serialize;
use serde::de::DeserializeOwned;
use turnwise_ranks::Ranks;

use crate::error::TrainError;

/// Returns the values of all ranks, in their order.
///
/// # Errors
/// The error of the first rank that has one, on every rank.
pub(crate) fn gather<T: Serialize + DeserializeOwned>(
    ranks: &dyn Ranks,
    mine: Result<T, TrainError>,
) -> Result<Vec<T>, TrainError> {
    if ranks.size() == 1 {
        return Ok(vec![mine?]);
    }
    let (sent, mut error) = match mine {
        Ok(value) => (Ok(value), None),
        Err(error) => (Err(error.to_string()), Some(error)),
    };
    let mut values = Vec::new();
    for (rank, bytes) in ranks.gather_all(encode(&sent)).iter().enumerate() {
        match decode::<Result<T, String>>(bytes) {
            Ok(value) => values.push(value),
            // This rank's error is known as it is.
            Err(text) => {
                let own = error.take().filter(|_| rank == ranks.rank());
                return Err(own.unwrap_or(TrainError::Rank { rank, text }));
            }
        }
    }
    Ok(values)
}

/// Returns this rank's value if no rank has an error.
///
/// # Errors
/// The error of the first rank that has one, on every rank.
pub(crate) fn agree<T>(ranks: &dyn Ranks, mine: Result<T, TrainError>) -> Result<T, TrainError> {
    let (value, told) = match mine {
        Ok(value) => (Some(value), Ok(())),
        Err(error) => (None, Err(error)),
    };
    gather(ranks, told)?;
    Ok(value.expect("a rank without an error has a value"))
}

/// Returns the value or the error that rank 0 computes.
pub(crate) fn said<T: Serialize + DeserializeOwned>(
    ranks: &dyn Ranks,
    compute: impl FnOnce() -> Result<T, TrainError>,
) -> Result<T, TrainError> {
    if !ranks.leads() {
        let said: Result<T, String> = decode(&ranks.say(Vec::new()));
        return said.map_err(|text| TrainError::Rank { rank: 0, text });
    }
    let computed = compute();
    if ranks.size() > 1 {
        ranks.say(encode(&computed.as_ref().map_err(ToString::to_string)));
    }
    computed
}

/// Runs `work` on rank 0 and returns its value there. All ranks see its error.
pub(crate) fn lead<T>(
    ranks: &dyn Ranks,
    work: impl FnOnce() -> Result<T, TrainError>,
) -> Result<Option<T>, TrainError> {
    let mut done = None;
    said(ranks, || {
        done = Some(work()?);
        Ok(())
    })?;
    Ok(done)
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("a vector takes every byte");
    bytes
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
    ciborium::from_reader(bytes).expect("all ranks run the same program")
}

#[cfg(test)]
mod tests {
    use turnwise_ranks::Alone;

    use super::*;

    #[test]
    fn numbers_arrive_to_the_bit() {
        for bits in [0.1_f64.to_bits(), (-0.0_f64).to_bits(), 5, f64::INFINITY.to_bits(), f64::MAX.to_bits()]
        {
            let number = f64::from_bits(bits);
            assert_eq!(decode::<f64>(&encode(&number)).to_bits(), bits);
            let single = number as f32;
            assert_eq!(decode::<f32>(&encode(&single)).to_bits(), single.to_bits());
        }
        assert!(decode::<f64>(&encode(&f64::NAN)).is_nan());
    }

    #[test]
    fn one_rank_keeps_its_error_as_it_is() {
        let failed = || TrainError::Input("a: b".into());
        assert_eq!(gather(&Alone, Ok(3)).unwrap(), [3]);
        assert!(matches!(gather::<u8>(&Alone, Err(failed())), Err(TrainError::Input(_))));
        assert!(matches!(lead::<u8>(&Alone, || Err(failed())), Err(TrainError::Input(_))));
        assert_eq!(lead(&Alone, || Ok(3)).unwrap(), Some(3));
    }
}
