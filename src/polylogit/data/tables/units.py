"""Currencies and units that may stand at a number, as regular expressions.

The list is closed: of an arbitrary word after a number, as in `12 May` or `3 rooms`, nothing is known.
"""

import re
from collections.abc import Iterable

__all__ = ["CURRENCY", "UNIT"]

_CURRENCIES = """
$ € £ ¥ ₹ ₽ ₩ ₺ ₴ ₦ ₫ ₱ ฿ ₪ US$ CA$ C$ AU$ A$ NZ$ HK$ S$ R$ Mex$ Rs. Rs kr. kr zł Kč Ft lei
USD EUR GBP CHF JPY CNY RMB INR SEK NOK DKK PLN CZK HUF RON BGN AUD CAD NZD HKD SGD BRL MXN TRY
RUB KRW ILS AED SAR THB IDR
"""
_UNITS = """
% ‰ percent pct pp bps k K M B bn mn million billion euro euros dollars pounds
kg g mg µg μg ug t lb lbs oz st
km m dm cm mm µm nm mi miles yd ft in inch inches feet px " '
km² m² cm² mm² km2 m2 cm2 mm2 ha ac acres sqm sqft
l L dl cl ml mL µl m³ m3 cm³ cm3 cc gal pt
ns µs us ms s sec secs second seconds min mins minute minutes h hr hrs hour hours
d day days wk week weeks month months mo mos yr yrs year years
°C °F ° C F K Hz kHz MHz GHz rpm bpm dB W kW MW GW Wh kWh MWh V mV kV A mA mAh Ah J kJ MJ cal kcal
N Nm Pa hPa kPa MPa bar psi hp bhp PS mmHg ppm ppb mol mmol lx lm
km/h kmh kph m/s mph kn kts mpg kmpl km/kg l/100km g/km g/l mg/l mg/dl g/dl mmol/l µg/l ng/ml
IU/l U/l IU kg/m² kg/m2 /h /s /min x
KB kB MB GB TB PB KiB MiB GiB TiB Kbps kbps Mbps Gbps MB/s GB/s
pcs pc units items pieces people persons points pts votes views
"""
_UNITS_OF_TWO_WORDS = ("sq ft", "sq m", "sq. ft.", "fl oz", "per hour")


def _either(texts: Iterable[str]) -> str:
    """A pattern for any of the texts: single letters as they are, longer ones in any case, the longest first."""
    letters = sorted({re.escape(text) for text in texts if len(text) == 1})
    words = sorted({re.escape(text) for text in texts if len(text) > 1}, key=lambda text: (-len(text), text))
    return f"(?:(?i:{'|'.join(words)})|{'|'.join(letters)})"


CURRENCY = _either(_CURRENCIES.split())
"""What may precede a number."""

UNIT = _either([*_CURRENCIES.split(), *_UNITS.split(), *_UNITS_OF_TWO_WORDS])
"""What may follow a number."""
