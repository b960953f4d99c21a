"""What to do about each reason of refusal, said to the office and to the sender's technician."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from models.domain.readings import RejectReason


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do about a reason, for the office and for the sender's technician."""

    zh: str
    en: str


REMEDIES: Final[Mapping[RejectReason, Remedy]] = MappingProxyType(
    {
        RejectReason.SIZE: Remedy(
            "报文过大：请数据源拆成较小的批次重发。", "Too large: have the publisher send smaller batches."
        ),
        RejectReason.ENCODING: Remedy(
            "不是有效的 UTF-8 或压缩内容：请检查发送端编码与压缩设置。",
            "Not valid UTF-8 or not inflatable: check the sender's encoding and compression.",
        ),
        RejectReason.PARSE: Remedy(
            "内容无法解析：请核对该订阅的报文格式（adapter）与实际发送的是否一致。",
            "Cannot be parsed: compare the adapter of the subscription with what is sent.",
        ),
        RejectReason.SCHEMA: Remedy(
            "字段不符合约定：请对照公布的报文格式修改字段名和类型。",
            "Fields do not match the schema: correct names and types after the published schema.",
        ),
        RejectReason.NUMBER: Remedy(
            "数值不是有效数字：请发送 JSON 数字，不要用文字、NaN 或无穷大。",
            "Not a finite JSON number: send numbers, not text, NaN or Infinity.",
        ),
        RejectReason.RANGE: Remedy(
            "数值超出合理范围：请核对单位（kW 与 W）、倍率和无效值代码。",
            "Outside the plausible range: check the unit (kW or W), the ratio and sentinel values.",
        ),
        RejectReason.TIME_FUTURE: Remedy(
            "时标在未来：请校正电表或集中器时钟和时区，改正后重发。",
            "Stamped in the future: set the clock and zone of the meter or concentrator, then send again.",
        ),
        RejectReason.TIME_OLD: Remedy(
            "时标过旧或超出 2000 至 2100 年：请核对时钟与时间单位（秒或毫秒）。",
            "Stamped too long ago or outside 2000 to 2100: check the clock and the time unit (s or ms).",
        ),
        RejectReason.UNKNOWN_METER: Remedy(
            "登记簿中没有该电表：请补登该电表及生效日期，再运行 gridwarden quarantine retry，无需数据源重发。",
            "The meter is not in the register: add it with its date of validity, then run `gridwarden quarantine "
            "retry`; nothing need be sent again.",
        ),
        RejectReason.AUTHZ: Remedy(
            "该数据源无权发送此电表数据：请核对登记簿中的数据源；若仍无法解释，请按安全事件处理。",
            "This publisher may not write this meter: check the register; if it stays odd, treat it as an incident.",
        ),
        RejectReason.CONFLICT: Remedy(
            "与已收数值矛盾：两个值都已保留，请数据源以更高的 rev 更正或由人工裁定。",
            "Contradicts what was received: both are kept; have it corrected with a higher rev, or settle it by hand.",
        ),
        RejectReason.SEQUENCE: Remedy(
            "序号不连续：请数据源补发缺失报文。", "Out of sequence: have the missing messages sent again."
        ),
        RejectReason.SIGNATURE: Remedy(
            "签名无效或缺失：请核对密钥；若密钥无误，请按安全事件处理。",
            "Signature wrong or missing: check the keys; if they are right, treat it as an incident.",
        ),
        RejectReason.RETAINED: Remedy(
            "收到保留消息：请发送端关闭 retain，并在服务器上禁用保留消息。",
            "A retained message: switch retain off at the sender and forbid it at the broker.",
        ),
        RejectReason.INTERNAL: Remedy(
            "程序内部错误：报文已保存，请把本条内容交给维护人员，修复后可重新处理。",
            "A fault of ours: the message is kept; hand this entry to the maintainers, it can be replayed after a fix.",
        ),
    }
)
