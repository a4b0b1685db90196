//! Incremental forward passes for occlusion, which recompute only the values that depend on a changed window of the picture.

use super::buffer::PooledBuffer;
use super::forward::{FusedRun, batched};
use super::layout::Slot;
use super::packed::Packed;
use super::receptive_range::ReceptiveRange;
use super::step::{Step, StepKernel, Windows};
use crate::backend::{self, Window};
use crate::exec::pixel_window::PixelWindow;
use crate::graph::{Graph, Node};
use anyhow::{Context, Result};
use candle_core::Tensor;
use gradscope_engine::{
    Epilogue, Map, MapMut, Pool, StridedSlice, add_view, crop, gather, linear, matmul, multiply_maps, pass, softmax,
};

/// The changed part of a step's value for each window, stored as dense feature maps in a separate buffer.
struct Part {
    rows: ReceptiveRange,
    columns: ReceptiveRange,
    c: usize,
    buffer: PooledBuffer,
}

/// Part of a step's value, either borrowed or cropped on demand.
enum Piece<'a> {
    Here(&'a Part),
    Cut(Part),
}

impl std::ops::Deref for Piece<'_> {
    type Target = Part;

    fn deref(&self) -> &Part {
        match self {
            Self::Here(part) => part,
            Self::Cut(part) => part,
        }
    }
}

/// A forward pass that computes only the changed parts of values.
struct IncrementalRun<'a> {
    run: &'a FusedRun,
    graph: &'a Graph,
    n: usize,
    /// The changed part of each step's value, kept until its last use.
    parts: Vec<Option<Part>>,
}

impl FusedRun {
    /// The logits, `(K, …)`, of `K` copies of the picture, each with one window replaced by the same region of `fill`. `None`
    /// unless this run is in evaluation mode and has a single picture. `tick` is called before each step and may stop the run
    /// with an error.
    pub fn occluded(
        &self,
        graph: &Graph,
        windows: &[PixelWindow],
        fill: &Tensor,
        tick: &dyn Fn(&Node) -> Result<()>,
    ) -> Result<Option<Tensor>> {
        let Some(end) =
            self.plan.ends[graph.logits].filter(|_| self.n == 1 && self.base.is_none() && self.input.rank() == 4)
        else {
            return Ok(None);
        };
        // In training mode, every value depends on the whole batch.
        if self.plan.steps.iter().any(|step| matches!(step.work, StepKernel::BatchNorm(..) | StepKernel::Mask)) {
            return Ok(None);
        }
        let mut uses = self.plan.uses.clone();
        uses[end] += 1;
        let parts = self.plan.steps.iter().map(|_| None).collect();
        let mut local = IncrementalRun { run: self, graph, n: windows.len(), parts };
        for (i, step) in self.plan.steps.iter().enumerate().take(end + 1) {
            tick(&graph.nodes[step.node])?;
            let part = if step.node == 0 { local.picture(windows, fill)? } else { local.step(step)? };
            local.parts[i] = Some(part);
            for &read in step.reads.iter().chain(&step.add) {
                uses[read] -= 1;
                if uses[read] == 0 {
                    local.parts[read] = None;
                }
            }
        }
        let dims = [&[windows.len()], &self.dims(graph.logits)[1..]].concat();
        let numbers = local.whole(end)?;
        self.plan.steps[end].to.alone().tensor(windows.len(), numbers.buffer.numbers(), &dims).map(Some)
    }
}

impl IncrementalRun<'_> {
    fn place(&self, step: usize) -> Slot {
        self.run.plan.steps[step].to
    }

    /// The changed part of the picture for each window. Windows smaller than the largest are padded with surrounding pixels of
    /// the picture.
    fn picture(&self, windows: &[PixelWindow], fill: &Tensor) -> Result<Part> {
        let x = &self.run.input;
        let (_, c, h, w) = x.dims4()?;
        let rows = ReceptiveRange::new(windows.iter().map(|v| (v.top, v.top + v.height)), h);
        let columns = ReceptiveRange::new(windows.iter().map(|v| (v.left, v.left + v.width)), w);
        let mut buffer = PooledBuffer::new(self.n * rows.len * columns.len * c);
        let to = buffer.numbers_mut();
        backend::read::<f32, _>(x, |x| {
            backend::with::<f32, _>(fill, |fill| {
                let mut at = 0;
                for (k, v) in windows.iter().enumerate() {
                    for i in rows.at[k]..rows.at[k] + rows.len {
                        for j in columns.at[k]..columns.at[k] + columns.len {
                            let from = if v.covers(i, j) { fill } else { x };
                            (0..c).for_each(|c| to[at + c] = from[(c * h + i) * w + j]);
                            at += c;
                        }
                    }
                }
            })
        })?;
        Ok(Part { rows, columns, c, buffer })
    }

    /// The changed part of a step's value, computed from the parts of its inputs.
    fn step(&self, step: &Step) -> Result<Part> {
        let (read, to) = (step.reads.first().copied().unwrap_or(0), step.to);
        match &step.work {
            StepKernel::Conv(conv) => self.convolution(step, conv),
            StepKernel::Max(pool) => {
                let windows = axes(pool);
                let (rows, columns) = self.seen(read, &windows, to)?;
                let (piece, padding) = self.piece(read, &windows, (&rows, &columns), to, f32::NEG_INFINITY)?;
                Ok(self.write(rows, columns, to.c, |y| Pool { padding, ..*pool }.max(&piece.map(), y)))
            }
            StepKernel::Mean(mean) => self.mean(step, mean),
            StepKernel::Pass(scale) => self.pass(step, scale.as_deref()),
            StepKernel::Normalized(scale) => self.pass(step, Some(scale)),
            StepKernel::Pick(pick) => self.pick(step, pick),
            StepKernel::Concat(_) => self.concatenation(step),
            StepKernel::Linear(w) => {
                let (output, input) = w.dims2()?;
                let (x, rows) = (self.whole(read)?, self.n * to.rows());
                self.whole_value(to, |y| {
                    let (x, bias) = (&x.buffer.numbers()[..rows * input], step.bias.as_deref());
                    backend::with::<f32, _>(w, |w| linear(x, w, bias, y, (rows, input, output), step.activation))
                })
            }
            StepKernel::Flatten => {
                let x = self.whole(read)?;
                let from = self.place(read).alone();
                self.whole_value(to, |y| {
                    from.read(self.n, x.buffer.numbers(), y);
                    Ok(())
                })
            }
            StepKernel::RowNorm(norm, [gamma, beta]) => {
                let x = self.whole(read)?;
                self.whole_value(to, |y| {
                    norm.forward(&x.buffer.numbers()[..y.len()], y, gamma.as_deref(), beta.as_deref());
                    Ok(())
                })
            }
            StepKernel::Softmax => {
                let x = self.whole(read)?;
                self.whole_value(to, |y| {
                    softmax(&x.buffer.numbers()[..y.len()], y, to.c);
                    Ok(())
                })
            }
            StepKernel::Matmul([a, b]) => {
                let (x, w) = (self.whole(read)?, self.whole(step.reads[1])?);
                let [a, b] = [(read, a), (step.reads[1], b)].map(|(read, v)| v.batch(self.n, self.place(read).len()));
                self.whole_value(to, |y| {
                    matmul(
                        (x.buffer.numbers(), &a),
                        (w.buffer.numbers(), &b),
                        y,
                        step.activation,
                        self.run.plan.algorithm,
                    );
                    Ok(())
                })
            }
            StepKernel::Mul => {
                let (x, z) = (self.whole(read)?, self.whole(step.reads[1])?);
                let add = step.add.map(|a| self.whole(a)).transpose()?;
                let add = add.as_ref().map(|a| a.map());
                let epilogue = Epilogue { add, activation: step.activation, ..Epilogue::default() };
                self.whole_value(to, |y| {
                    multiply_maps(&x.map(), &z.map(), &mut to.alone().map_mut(self.n, y), epilogue);
                    Ok(())
                })
            }
            StepKernel::AddBroadcast { view, .. } => {
                let (x, z) = (self.whole(read)?, self.whole(step.reads[1])?);
                let view = view.batch(self.n, self.place(step.reads[1]).len());
                self.whole_value(to, |y| {
                    add_view(&x.buffer.numbers()[..y.len()], z.buffer.numbers(), &view, y);
                    Ok(())
                })
            }
            StepKernel::Copy(view) => {
                let (x, view) = (self.whole(read)?, view.batch(self.n, self.place(read).len()));
                self.whole_value(to, |y| {
                    gather(x.buffer.numbers(), &view, y);
                    Ok(())
                })
            }
            StepKernel::Alias => {
                let x = self.whole(read)?;
                self.whole_value(to, |y| {
                    y.copy_from_slice(&x.buffer.numbers()[..y.len()]);
                    Ok(())
                })
            }
            StepKernel::Op => self.operation(step),
            StepKernel::Input | StepKernel::BatchNorm(..) | StepKernel::Mask => {
                unreachable!("an incremental forward pass has no such step")
            }
        }
    }

    fn convolution(&self, step: &Step, conv: &Packed) -> Result<Part> {
        let (read, to, windows) = (step.reads[0], step.to, conv.windows());
        let (rows, columns) = self.joined(step, self.seen(read, &windows, to)?)?;
        let (piece, padding) = self.piece(read, &windows, (&rows, &columns), to, 0.0)?;
        let filter = conv.fitted(piece.size(), (rows.len, columns.len), padding)?;
        let add = step.add.map(|a| self.under(a, &rows, &columns)).transpose()?;
        let add = add.as_ref().map(|a| a.map());
        let epilogue = Epilogue { bias: step.bias.as_deref(), add, activation: step.activation, ..Epilogue::default() };
        Ok(self.write(rows, columns, to.c, |y| filter.run(&piece.map(), y, epilogue)))
    }

    /// The changed part of the value of an elementwise step, with an optional scale per channel.
    fn pass(&self, step: &Step, scale: Option<&[f32]>) -> Result<Part> {
        let part = self.part(step.reads[0])?;
        let (rows, columns) = self.joined(step, (part.rows.clone(), part.columns.clone()))?;
        let x = self.under(step.reads[0], &rows, &columns)?;
        let add = step.add.map(|a| self.under(a, &rows, &columns)).transpose()?;
        let add = add.as_ref().map(|a| a.map());
        let affine = scale.map(|scale| (scale, step.bias.as_deref().unwrap_or_default()));
        let epilogue = Epilogue { affine, add, activation: step.activation, ..Epilogue::default() };
        Ok(self.write(rows, columns, step.to.c, |y| pass(&x.map(), y, epilogue)))
    }

    fn pick(&self, step: &Step, pick: &StridedSlice) -> Result<Part> {
        let (part, to) = (self.part(step.reads[0])?, step.to);
        let rows = part.rows.picked(pick.start.0, pick.step.0, to.h);
        let columns = part.columns.picked(pick.start.1, pick.step.1, to.w);
        let (down, across) = (rows.spread(pick.start.0, pick.step.0), columns.spread(pick.start.1, pick.step.1));
        let x = self.under(step.reads[0], &down, &across)?;
        Ok(self.write(rows, columns, to.c, |y| StridedSlice { start: (0, 0), ..*pick }.forward(&x.map(), y)))
    }

    fn concatenation(&self, step: &Step) -> Result<Part> {
        let to = step.to;
        let first = self.part(step.reads[0])?;
        let (mut rows, mut columns) = (first.rows.clone(), first.columns.clone());
        for &read in &step.reads[1..] {
            let part = self.part(read)?;
            (rows, columns) = (rows.with(&part.rows, to.h), columns.with(&part.columns, to.w));
        }
        let mut buffer = PooledBuffer::new(self.n * rows.len * columns.len * to.c);
        let mut first = 0;
        for &read in &step.reads {
            let c = self.part(read)?.c;
            let sizes = [self.n, rows.len, columns.len, c];
            self.cut(read, &rows, &columns, &mut MapMut::new(&mut buffer.numbers_mut()[first..], sizes, to.c))?;
            first += c;
        }
        Ok(Part { rows, columns, c: to.c, buffer })
    }

    /// The changed part of the value of an average pooling step: the whole feature map if the windows' divisors differ.
    fn mean(&self, step: &Step, mean: &Windows) -> Result<Part> {
        let (read, to) = (step.reads[0], step.to);
        let windows = axes(&mean.pool);
        let whole = || (ReceptiveRange::whole(self.n, to.h), ReceptiveRange::whole(self.n, to.w));
        let (rows, columns) = if mean.are_alike(to) { self.seen(read, &windows, to)? } else { whole() };
        let (piece, padding) = self.piece(read, &windows, (&rows, &columns), to, 0.0)?;
        let pool = Pool { padding, ..mean.pool };
        Ok(self.write(rows, columns, to.c, |y| pool.mean(&piece.map(), y, |i, j| mean.divisor(i, j))))
    }

    /// The value of a step that runs an unfused operation, computed from the whole values of its inputs.
    fn operation(&self, step: &Step) -> Result<Part> {
        let node = &self.graph.nodes[step.node];
        let value = |(&read, &id): (&usize, &usize)| {
            let dims = [&[self.n], &self.run.dims(id)[1..]].concat();
            self.place(read).alone().tensor(self.n, self.whole(read)?.buffer.numbers(), &dims)
        };
        let x = step.reads.iter().zip(&node.inputs).map(value).collect::<Result<Vec<_>>>()?;
        let value = batched(node.forward(&x.iter().collect::<Vec<_>>())?, self.n)?;
        let (n, place) = (self.n, step.to.alone());
        self.whole_value(step.to, |y| backend::with::<f32, _>(&value, |v| place.write(n, v, y)))
    }

    fn part(&self, step: usize) -> Result<&Part> {
        self.parts[step].as_ref().context("the value was already released")
    }

    /// The rows and columns of outputs whose windows overlap the changed part of step `read`.
    fn seen(&self, read: usize, windows: &(Window, Window), to: Slot) -> Result<(ReceptiveRange, ReceptiveRange)> {
        let part = self.part(read)?;
        Ok((part.rows.seen(&windows.0, to.h), part.columns.seen(&windows.1, to.w)))
    }

    /// The given rows and columns, extended to include the changed part of the value that the step adds.
    fn joined(
        &self,
        step: &Step,
        (rows, columns): (ReceptiveRange, ReceptiveRange),
    ) -> Result<(ReceptiveRange, ReceptiveRange)> {
        let Some(add) = step.add else { return Ok((rows, columns)) };
        let add = self.part(add)?;
        Ok((rows.with(&add.rows, step.to.h), columns.with(&add.columns, step.to.w)))
    }

    /// The input that the windows of the given output rows and columns read, with the value `outside` beyond the feature map, and the
    /// padding that remains to be applied: the windows' padding if the outputs cover the whole feature map, otherwise none.
    fn piece(
        &self,
        read: usize,
        windows: &(Window, Window),
        (rows, columns): (&ReceptiveRange, &ReceptiveRange),
        to: Slot,
        outside: f32,
    ) -> Result<(Piece<'_>, (usize, usize))> {
        let place = self.place(read);
        if (rows.len, columns.len) == (to.h, to.w) {
            let (rows, columns) = (ReceptiveRange::whole(self.n, place.h), ReceptiveRange::whole(self.n, place.w));
            return Ok((self.under(read, &rows, &columns)?, (windows.0.padding, windows.1.padding)));
        }
        let size = |w: &Window, outputs: usize| (outputs - 1) * w.stride + w.dilation * (w.kernel - 1) + 1;
        let (h, w) = (size(&windows.0, rows.len), size(&windows.1, columns.len));
        let first = |w: &Window, at: usize| (at * w.stride) as isize - w.padding as isize;
        let from: Vec<_> =
            rows.at.iter().zip(&columns.at).map(|(&i, &j)| (first(&windows.0, i), first(&windows.1, j))).collect();
        let mut buffer = PooledBuffer::new(self.n * h * w * place.c);
        let mut y = MapMut::new(buffer.numbers_mut(), [self.n, h, w, place.c], place.c);
        self.crop(read, &mut y, &from, outside)?;
        let (rows, columns) = (ReceptiveRange::whole(self.n, h), ReceptiveRange::whole(self.n, w));
        Ok((Piece::Cut(Part { rows, columns, c: place.c, buffer }), (0, 0)))
    }

    /// The value of step `read` at the given rows and columns.
    fn under(&self, read: usize, rows: &ReceptiveRange, columns: &ReceptiveRange) -> Result<Piece<'_>> {
        let part = self.part(read)?;
        if (&part.rows, &part.columns) == (rows, columns) {
            return Ok(Piece::Here(part));
        }
        let mut buffer = PooledBuffer::new(self.n * rows.len * columns.len * part.c);
        let sizes = [self.n, rows.len, columns.len, part.c];
        self.cut(read, rows, columns, &mut MapMut::new(buffer.numbers_mut(), sizes, part.c))?;
        Ok(Piece::Cut(Part { rows: rows.clone(), columns: columns.clone(), c: part.c, buffer }))
    }

    fn cut(&self, read: usize, rows: &ReceptiveRange, columns: &ReceptiveRange, y: &mut MapMut) -> Result<()> {
        let part = self.part(read)?;
        if (&part.rows, &part.columns) == (rows, columns) {
            pass(&part.map(), y, Epilogue::default());
            return Ok(());
        }
        let from: Vec<_> = rows.at.iter().zip(&columns.at).map(|(&i, &j)| (i as isize, j as isize)).collect();
        self.crop(read, y, &from, 0.0)
    }

    fn crop(&self, read: usize, y: &mut MapMut, from: &[(isize, isize)], outside: f32) -> Result<()> {
        let part = self.part(read)?;
        let at: Vec<_> = part.rows.at.iter().copied().zip(part.columns.at.iter().copied()).collect();
        crop(&self.run.map(read), (&part.map(), &at), y, from, outside);
        Ok(())
    }

    /// The whole value of a step.
    fn whole(&self, step: usize) -> Result<Piece<'_>> {
        let place = self.place(step);
        self.under(step, &ReceptiveRange::whole(self.n, place.h), &ReceptiveRange::whole(self.n, place.w))
    }

    fn write(&self, rows: ReceptiveRange, columns: ReceptiveRange, c: usize, kernel: impl FnOnce(&mut MapMut)) -> Part {
        let mut buffer = PooledBuffer::new(self.n * rows.len * columns.len * c);
        kernel(&mut MapMut::new(buffer.numbers_mut(), [self.n, rows.len, columns.len, c], c));
        Part { rows, columns, c, buffer }
    }

    fn whole_value(&self, to: Slot, kernel: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<Part> {
        let mut buffer = PooledBuffer::new(self.n * to.len());
        kernel(&mut buffer.numbers_mut()[..self.n * to.len()])?;
        Ok(Part {
            rows: ReceptiveRange::whole(self.n, to.h),
            columns: ReceptiveRange::whole(self.n, to.w),
            c: to.c,
            buffer,
        })
    }
}

impl Part {
    fn size(&self) -> (usize, usize) {
        (self.rows.len, self.columns.len)
    }

    fn map(&self) -> Map<'_> {
        let sizes = [self.rows.at.len(), self.rows.len, self.columns.len, self.c];
        Map::new(self.buffer.numbers(), sizes, self.c)
    }
}

/// The windows of a pool along height and width.
fn axes(pool: &Pool) -> (Window, Window) {
    let Pool { kernel: k, stride: s, padding: p, dilation: d } = *pool;
    (Window::new(k.0, s.0, p.0, d.0), Window::new(k.1, s.1, p.1, d.1))
}
