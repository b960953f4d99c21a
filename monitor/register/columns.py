"""The sheets of a register as a table one can read: columns, their Chinese names, readers, explanations and keys."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from models.domain.readings import CADENCES_S
from models.domain.register import AllocationBasis, CalendarKind, EnterpriseStatus, FurnaceKind, TariffBand
from monitor.register import cells, quantities
from monitor.register.cells import Converter
from monitor.register.words import BAND_WORDS, BASIS_WORDS, CALENDAR_WORDS, FURNACE_WORDS, STATUS_WORDS


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `name` is the field of the row type, `label_zh` what the Chinese template calls it."""

    name: str
    label_zh: str
    aliases: tuple[str, ...]
    read: Converter
    required: bool
    help_en: str
    help_zh: str
    example: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SheetSpec:
    """One sheet: `key` names the column that identifies a row over time, None where rows have no id."""

    name: str
    label_zh: str
    aliases: tuple[str, ...]
    key: str | None
    about_en: str
    about_zh: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """`sheet.column`, where it is filled, must be the key of a row of `target` valid at some common date."""

    sheet: str
    column: str
    target: str


def _column(
    name: str,
    labels_zh: tuple[str, ...],
    read: Converter,
    help_zh: str,
    help_en: str,
    example: str,
    *,
    required: bool = False,
    choices: tuple[str, ...] = (),
) -> Column:
    return Column(name, labels_zh[0], labels_zh[1:], read, required, help_en, help_zh, example, choices)


_VALIDITY: Final = (
    _column(
        "valid_from",
        ("生效日期", "起始日期", "有效期自"),
        quantities.date,
        "本行自该日起有效（含当日），留空为 2000-01-01",
        "first day the row holds; empty: 2000-01-01",
        "2024-01-01",
    ),
    _column(
        "valid_to",
        ("失效日期", "终止日期", "有效期至"),
        quantities.date,
        "本行到该日止（不含当日），留空为长期",
        "the row holds up to, not including, this day; empty: no end",
        "",
    ),
)
_YES_NO: Final = ("是", "否")
_SITE: Final = _column(
    "site", ("厂区编号", "厂区"), cells.identifier, "所在厂区编号", "id of its site", "S001", required=True
)


def _enterprises() -> tuple[Column, ...]:
    return (
        _column(
            "uscc",
            ("统一社会信用代码", "信用代码", "社会信用代码"),
            cells.uscc,
            "18 位，含校验码",
            "unified social credit code, 18 characters with its check character",
            "91330122MA27X0007W",
            required=True,
        ),
        _column(
            "name",
            ("企业名称", "单位名称", "公司名称", "户名"),
            cells.name,
            "营业执照上的名称",
            "name on the business licence",
            "某某铸造有限公司",
            required=True,
        ),
        _column(
            "trade",
            ("行业代码", "行业", "国民经济行业代码"),
            cells.trade,
            "GB/T 4754 代码，2—4 位，可带门类字母",
            "GB/T 4754 code, 2 to 4 digits, letter optional",
            "C3391",
        ),
        _column(
            "district",
            ("区县代码", "区划代码", "行政区划"),
            cells.identifier,
            "行政区划代码",
            "id of the district",
            "330122",
        ),
        _column(
            "status",
            ("生产状态", "状态", "企业状态"),
            cells.one_of(EnterpriseStatus, STATUS_WORDS),
            "在产、关停或断电；留空为在产",
            "operating, closed or power_cut; empty: operating",
            "在产",
            choices=("在产", "关停", "断电"),
        ),
        _column(
            "since",
            ("状态起始日期", "状态日期", "关停日期"),
            quantities.date,
            "关停或断电的执行日期，关停、断电时必填",
            "day the status was ordered; needed for closed and power_cut",
            "",
        ),
        *_VALIDITY,
    )


def _sites() -> tuple[Column, ...]:
    return (
        _column(
            "site",
            ("厂区编号", "厂区"),
            cells.identifier,
            "自编编号，字母数字",
            "your id of the plant",
            "S001",
            required=True,
        ),
        _column(
            "uscc",
            ("统一社会信用代码", "信用代码", "社会信用代码"),
            cells.uscc,
            "所属企业",
            "enterprise that runs it",
            "91330122MA27X0007W",
            required=True,
        ),
        _column("name", ("厂区名称", "名称"), cells.name, "便于识别的名称", "a name people know", "一号厂区"),
        _column("address", ("地址", "厂区地址"), cells.name, "详细地址", "address", "某某镇某某路 1 号"),
        *_VALIDITY,
    )


def _meters() -> tuple[Column, ...]:
    return (
        _column(
            "meter",
            ("电表资产号", "电表编号", "表号", "电表", "计量点编号"),
            cells.identifier,
            "与上送数据中的 meter 完全一致；请按文本填写，保留前导零",
            "exactly as `meter` in the data; as text, with its leading zeros",
            "330124001",
            required=True,
        ),
        _SITE,
        _column(
            "publisher",
            ("数据源编号", "数据源"),
            cells.identifier,
            "有权上送该表数据的数据源",
            "the data source that may send it",
            "bureau1",
            required=True,
        ),
        _column(
            "feeder", ("线路编号", "台区编号", "线路", "台区"), cells.identifier, "所属线路或台区", "feeder", "F12"
        ),
        _column(
            "ratio",
            ("倍率", "综合倍率", "计量倍率"),
            quantities.positive,
            "综合倍率（CT×PT），例如 400/5 填 80",
            "CT × PT ratio, for 400/5 write 80",
            "80",
        ),
        _column(
            "ratio_applied",
            ("已乘倍率", "是否已乘倍率"),
            quantities.boolean,
            "上送数据已乘倍率填“是”（留空为是），填“否”时倍率必填",
            "whether the data are already multiplied; empty: yes; with no, the ratio is needed",
            "是",
            choices=_YES_NO,
        ),
        _column(
            "cadence_s",
            ("采集周期秒", "采集周期", "采集间隔"),
            quantities.cadence,
            "两次读数的间隔，单位秒；留空为 900",
            "seconds between readings; empty: 900",
            "900",
            choices=tuple(str(seconds) for seconds in CADENCES_S),
        ),
        _column(
            "contract_kva",
            ("合同容量", "运行容量"),
            quantities.positive,
            "合同容量 kVA",
            "contracted capacity, kVA",
            "630",
        ),
        _column(
            "transformer_kva", ("变压器容量",), quantities.positive, "变压器容量 kVA", "transformer rating, kVA", "630"
        ),
        _column(
            "register_wrap_kwh",
            ("示数翻转值", "翻转值"),
            quantities.register_size,
            "示数归零值（一次侧 kWh），未知留空",
            "register value at which it wraps to zero, primary kWh; empty: unknown",
            "",
        ),
        *_VALIDITY,
    )


def _feeders() -> tuple[Column, ...]:
    return (
        _column(
            "feeder",
            ("线路编号", "台区编号", "线路", "台区"),
            cells.identifier,
            "线路或台区编号",
            "id of the feeder",
            "F12",
            required=True,
        ),
        _column("name", ("线路名称", "台区名称", "名称"), cells.name, "名称", "name", "工业 12 线"),
        _column("voltage_kv", ("电压等级", "电压"), quantities.positive, "电压等级 kV", "voltage level, kV", "10"),
        _column(
            "meter",
            ("总表编号", "关口表编号", "总表", "电表资产号"),
            cells.identifier,
            "线路自身的总表，须在电表页登记",
            "its own meter, to be listed among the meters",
            "",
        ),
        *_VALIDITY,
    )


def _furnaces() -> tuple[Column, ...]:
    return (
        _column(
            "furnace", ("炉编号", "炉号", "炉"), cells.identifier, "炉的编号", "id of the furnace", "L1", required=True
        ),
        _SITE,
        _column(
            "kind",
            ("炉型", "类型", "炉种"),
            cells.one_of(FurnaceKind, FURNACE_WORDS),
            "炉型",
            "kind of furnace",
            "中频炉",
            required=True,
            choices=("中频炉", "工频炉", "感应加热炉", "电弧炉", "矿热炉", "电阻炉", "其他"),
        ),
        _column("rated_kw", ("额定功率",), quantities.positive, "额定功率 kW", "rated power, kW", "1000"),
        _column(
            "capacity_t", ("容量吨", "炉容量", "公称容量"), quantities.positive, "炉容量 t", "charge, tonnes", "1.5"
        ),
        _column("purpose", ("申报用途", "用途"), cells.name, "申报用途", "declared use", "铸件"),
        *_VALIDITY,
    )


def _lines() -> tuple[Column, ...]:
    return (
        _column(
            "line",
            ("生产线编号", "产线编号", "生产线"),
            cells.identifier,
            "生产线编号",
            "id of the line",
            "X1",
            required=True,
        ),
        _SITE,
        _column("product", ("产品", "产品名称"), cells.name, "产品", "what it makes", "灰铸铁件"),
        _column(
            "capacity_t_per_year",
            ("年产能吨", "年产能", "核定年产能"),
            quantities.positive,
            "核定年产能 t",
            "what it may make a year, tonnes",
            "5000",
        ),
        *_VALIDITY,
    )


def _publishers() -> tuple[Column, ...]:
    return (
        _column(
            "publisher",
            ("数据源编号", "数据源"),
            cells.identifier,
            "与消息主题中的名称一致",
            "as in the topic of its messages",
            "bureau1",
            required=True,
        ),
        _column("name", ("数据源名称", "名称"), cells.name, "名称", "name", "某某供电公司"),
        _column(
            "may_revise",
            ("可修订", "允许修订"),
            quantities.boolean,
            "可否用更高的 rev 修订数据，留空为否",
            "whether a higher `rev` of its settles a contradiction; empty: no",
            "否",
            choices=_YES_NO,
        ),
        *_VALIDITY,
    )


def _calendar() -> tuple[Column, ...]:
    return (
        _column(
            "kind",
            ("类型", "日历类型"),
            cells.one_of(CalendarKind, CALENDAR_WORDS),
            "分时电价（填时段、开始、结束）、节假日或调休上班（填日期）",
            "tariff (with band, start, end), holiday or workday (with day)",
            "分时电价",
            required=True,
            choices=("分时电价", "节假日", "调休上班"),
        ),
        _column("name", ("名称", "说明"), cells.name, "电价名称或节日名称", "name of the tariff or holiday", "大工业"),
        _column("day", ("日期",), quantities.date, "节假日或补班日期", "the holiday or working day", ""),
        _column(
            "band",
            ("时段", "电价时段"),
            cells.one_of(TariffBand, BAND_WORDS),
            "尖、峰、平、谷或深谷",
            "tariff band",
            "谷",
            choices=("尖", "峰", "平", "谷", "深谷"),
        ),
        _column("start", ("开始时间", "开始"), quantities.time_of_day, "时段开始", "start of the band", "22:00"),
        _column(
            "end",
            ("结束时间", "结束"),
            quantities.time_of_day,
            "时段结束；早于开始则跨零点",
            "end of the band; before the start: it runs over midnight",
            "08:00",
        ),
        *_VALIDITY,
    )


def _allocations() -> tuple[Column, ...]:
    return (
        _column(
            "meter",
            ("电表资产号", "电表编号", "表号", "电表"),
            cells.identifier,
            "要分摊的电表",
            "the meter whose electricity is divided",
            "330124001",
            required=True,
        ),
        _column("line", ("生产线编号", "生产线"), cells.identifier, "分给哪条生产线", "line that gets it", "X1"),
        _column("site", ("厂区编号", "厂区"), cells.identifier, "或分给哪个厂区", "or site that gets it", ""),
        _column(
            "basis",
            ("分摊依据", "依据"),
            cells.one_of(AllocationBasis, BASIS_WORDS),
            "比例、产量或电量；留空为比例；同一电表同一时期只用一种",
            "share, output or kwh; empty: share; one for a meter at a time",
            "比例",
            choices=("比例", "产量", "电量"),
        ),
        _column(
            "share",
            ("分摊比例", "比例"),
            quantities.share,
            "0 到 1，留空为 1；合计不足 1 的部分留在本厂区",
            "0 to 1, empty: 1; what is left of 1 stays with the meter's own site",
            "0.6",
        ),
        _column(
            "within",
            ("上级电表", "总表"),
            cells.identifier,
            "本表电量已计入的上级电表，避免重复计算",
            "the meter that counts this one's electricity as well, so that nothing counts twice",
            "",
        ),
        *_VALIDITY,
    )


def _reporters() -> tuple[Column, ...]:
    return (
        _SITE,
        _column(
            "publisher",
            ("数据源编号", "数据源", "报送方"),
            cells.identifier,
            "可报送该厂区产量和炉次的数据源（该厂区电表的数据源无需填写）",
            "may report the site's output and heats; publishers of the site's meters need no row",
            "plant1",
            required=True,
        ),
        *_VALIDITY,
    )


def _declared() -> tuple[Column, ...]:
    return (
        _column(
            "uscc",
            ("统一社会信用代码", "信用代码", "社会信用代码"),
            cells.uscc,
            "所属企业",
            "the enterprise",
            "91330122MA27X0007W",
            required=True,
        ),
        _column(
            "line",
            ("生产线编号", "生产线"),
            cells.identifier,
            "仅涉及某条生产线时填写",
            "where the fact is of one line only",
            "",
        ),
        _column(
            "fact",
            ("事项", "申报事项"),
            cells.identifier,
            "规则包中的名称，如 equipment_class、plant、altitude_m",
            "a name of the rule packs, such as equipment_class, plant or altitude_m",
            "equipment_class",
            required=True,
        ),
        _column(
            "value",
            ("内容", "值"),
            cells.name,
            "是、否、文字或数字",
            "yes, no, a word or a number",
            "限制类",
            required=True,
        ),
        _column("source", ("依据", "来源"), cells.name, "名单、决定或申报材料", "list, decision or application", ""),
        *_VALIDITY,
    )


SPECS: Final[Mapping[str, SheetSpec]] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            SheetSpec(
                "enterprises",
                "企业",
                ("企业信息",),
                "uscc",
                "who is responsible: one row per enterprise and period",
                "责任主体：每个企业、每段有效期一行",
                _enterprises(),
            ),
            SheetSpec("sites", "厂区", (), "site", "plants of the enterprises", "企业的厂区", _sites()),
            SheetSpec("meters", "电表", ("计量点",), "meter", "metering points", "计量点", _meters()),
            SheetSpec("feeders", "线路", ("台区", "线路台区"), "feeder", "feeders and 台区", "线路、台区", _feeders()),
            SheetSpec(
                "furnaces", "炉", ("电炉", "炉子"), "furnace", "furnaces known to the office", "已登记的炉", _furnaces()
            ),
            SheetSpec("lines", "生产线", ("产线",), "line", "production lines", "生产线", _lines()),
            SheetSpec("publishers", "数据源", (), "publisher", "who may send data", "有权上送数据者", _publishers()),
            SheetSpec(
                "calendar",
                "日历",
                ("电价日历",),
                None,
                "tariff hours and special days",
                "电价时段与特殊日期",
                _calendar(),
            ),
            SheetSpec(
                "allocations",
                "分摊",
                ("电量分摊",),
                None,
                "what shared, auxiliary and line meters count for",
                "共用、辅助及产线电表的电量归属",
                _allocations(),
            ),
            SheetSpec(
                "reporters",
                "报送方",
                ("产量报送",),
                None,
                "who else may report output and heats",
                "另有谁可报送产量和炉次",
                _reporters(),
            ),
            SheetSpec(
                "declared",
                "申报事项",
                ("事项",),
                None,
                "facts that limits and surcharges ask for: equipment class, new or existing plant, quotas",
                "限额与加价判定所需事项：装置类别、新建或现有、定额等",
                _declared(),
            ),
        )
    }
)
"""Every sheet by name, in the order of the template."""

REFERENCES: Final[tuple[Reference, ...]] = (
    Reference("sites", "uscc", "enterprises"),
    Reference("meters", "site", "sites"),
    Reference("meters", "publisher", "publishers"),
    Reference("meters", "feeder", "feeders"),
    Reference("feeders", "meter", "meters"),
    Reference("furnaces", "site", "sites"),
    Reference("lines", "site", "sites"),
    Reference("allocations", "meter", "meters"),
    Reference("allocations", "line", "lines"),
    Reference("allocations", "site", "sites"),
    Reference("allocations", "within", "meters"),
    Reference("reporters", "site", "sites"),
    Reference("reporters", "publisher", "publishers"),
    Reference("declared", "uscc", "enterprises"),
    Reference("declared", "line", "lines"),
)

_IN_BRACKETS: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")


def folded(heading: str) -> str:
    """A heading as it is compared: half-width, lower case, without spaces, asterisks and anything in brackets."""
    narrow = unicodedata.normalize("NFKC", heading).casefold()
    return re.sub(r"[\s*_]", "", _IN_BRACKETS.sub("", narrow))


def headings(spec: SheetSpec) -> Mapping[str, Column]:
    """Folded heading to column, for the column's own name, its Chinese label and its aliases."""
    return {folded(word): c for c in spec.columns for word in (c.name, c.label_zh, *c.aliases)}


def sheet_named(title: str) -> SheetSpec | None:
    """The sheet a worksheet title or a file's stem means, by name, Chinese label or alias."""
    wanted = folded(title)
    for spec in SPECS.values():
        if wanted in {folded(word) for word in (spec.name, spec.label_zh, *spec.aliases)}:
            return spec
    return None
