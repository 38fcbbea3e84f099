//! Amounts in Stripe's smallest units, which are not those of ISO 4217 for every currency.

use spindel_connect::CallError;
use spindel_model::{Currency, Decimal, Money, exponent};

/// Digits after the decimal point as Stripe counts them: <https://docs.stripe.com/currencies#special-cases>.
fn digits(currency: Currency) -> u32 {
    match currency {
        // No decimals any more, and still sent with two.
        Currency::ISK | Currency::UGX => 2,
        Currency::MGA => 0,
        _ => exponent(currency),
    }
}

pub(crate) fn from_minor(minor: i64, currency: Currency) -> Money {
    let money = Money::new(Decimal::new(minor, digits(currency)), currency);
    let rounded = money.rounded();
    if rounded.amount == money.amount { rounded } else { money }
}

/// Refuses what Stripe cannot move: money is never rounded on the way.
pub(crate) fn to_minor(operation: &'static str, money: Money) -> Result<i64, CallError> {
    let scaled = money.amount.checked_mul(Decimal::from(10_i64.pow(digits(money.currency))));
    let minor = scaled.filter(|it| it.fract().is_zero()).and_then(|it| i64::try_from(it).ok());
    let minor = minor.ok_or_else(|| {
        CallError::data(operation, format!("{money} is finer than the smallest unit of the currency at Stripe, or out of range"))
    })?;
    let step = step(money.currency);
    if minor % step != 0 {
        let problem = format!(
            "Stripe moves {} only in steps of {}: {money} is none",
            money.currency.code(),
            from_minor(step, money.currency)
        );
        return Err(CallError::data(operation, problem));
    }
    Ok(minor)
}

/// The card networks want the last digit of three-decimal currencies to be 0, and whole krónur and shillings.
fn step(currency: Currency) -> i64 {
    match currency {
        Currency::ISK | Currency::UGX => 100,
        _ if digits(currency) == 3 => 10,
        _ => 1,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn amounts_follow_the_smallest_units_of_stripe() {
        for (minor, currency, text) in [
            (44_700, Currency::NOK, "447.00 NOK"),
            (44_700, Currency::SEK, "447.00 SEK"),
            (44_700, Currency::DKK, "447.00 DKK"),
            (1, Currency::EUR, "0.01 EUR"),
            (447, Currency::JPY, "447 JPY"),
            (447, Currency::KRW, "447 KRW"),
            (1_230, Currency::KWD, "1.230 KWD"),
            (500, Currency::ISK, "5 ISK"),
            (500, Currency::UGX, "5 UGX"),
            (-3_900, Currency::NOK, "-39.00 NOK"),
        ] {
            let money = from_minor(minor, currency);
            assert_eq!(money.to_string(), text);
            assert_eq!(to_minor("test", money).unwrap(), minor, "{text}");
        }
        assert_eq!(from_minor(5, Currency::MGA).amount, Decimal::from(5));
    }

    #[test]
    fn what_stripe_cannot_move_is_refused_and_never_rounded() {
        for (amount, currency) in [
            (Decimal::new(44_705, 2), Currency::JPY),
            (Decimal::new(1, 3), Currency::NOK),
            (Decimal::new(1_234, 3), Currency::KWD),
            (Decimal::new(55, 1), Currency::ISK),
            (Decimal::MAX, Currency::NOK),
        ] {
            let error = to_minor("test", Money::new(amount, currency)).unwrap_err();
            assert_eq!(error.class, spindel_model::ErrorClass::Data, "{amount} {currency:?}");
        }
    }
}
